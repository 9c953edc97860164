# What every script begins with. One folder for each VM and one for images, all ours, none of it needs root.
set -u
umask 077
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
root=${XDG_DATA_HOME:-$HOME/.local/share}/vendetta/qemu
vms=$root/vms images=$root/images
read -r boot </proc/sys/kernel/random/boot_id

die() { # WORD MESSAGE: the word says which error it is
  word=$1
  shift
  printf '%s %s\n' "$word" "$*" >&2
  exit 70
}

need() { # PROGRAM...
  for program; do
    command -v "$program" >/dev/null || die missing "$program"
  done
}

# Looks at $vm: sets $state, and $pid where it is alive. No process is started for it: there may be hundreds.
look() {
  state=created pid=
  [ -e "$vm/started" ] || return 0
  state=stopped
  read -r pid 2>/dev/null <"$vm/pid" || return 0
  read -r id <"$vm/id"
  if read -r comm 2>/dev/null <"/proc/$pid/comm" && [ "$comm" = "vm-$id" ]; then
    state=alive
    return 0
  fi
  # qemu takes its pid file away when it ends in good order
  pid= state=killed
  read -r since <"$vm/started"
  [ "$since" = "$boot" ] || state=rebooted
}

note() { # OWNER NAME ACTION: for all who watch
  printf '%s %s %s\n' "$1" "$2" "$3" >>"$root/journal"
}

find_vm() { # OWNER NAME: sets $vm
  vm=$vms/$2
  [ -e "$vm/record" ] && read -r owner <"$vm/owner" && [ "$owner" = "$1" ] || die absent "$2"
}

# Prints a line for $vm, as `parse_found` reads it.
tell() {
  port=0 how=-
  if [ "$state" = alive ]; then
    read -r port 2>/dev/null <"$vm/port" || port=0
    read -r how 2>/dev/null <"$vm/accelerated" || how=-
  fi
  words=
  if [ "$state" = killed ] && [ -s "$vm/qemu.log" ]; then
    while IFS= read -r line; do words=$line; done <"$vm/qemu.log"
  fi
  read -r record <"$vm/record"
  printf '%s %s %s %s %s\n%s\n%s\n' "$state" "${pid:-0}" "$port" "$how" "$vm" "$words" "$record"
}

lock_vm() { # held until the script ends; what it starts must not inherit it (8>&-)
  exec 8>"$vm/lock"
  flock 8
  [ -e "$vm/record" ] || die absent "${vm##*/}"
}

ended() { # SECONDS: whether qemu ends within that time. It holds the lock on this file for as long as it lives.
  timeout "$1" flock "$vm/alive" true 8>&-
}
