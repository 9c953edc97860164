# The life of VMs. Arguments: a verb, the owner, and what the verb takes.
verb=$1 owned=$2
shift 2

list() { # [NAME]
  for vm in "$vms"/${1:-*}; do
    [ -e "$vm/record" ] && read -r owner <"$vm/owner" && [ "$owner" = "$owned" ] || continue
    look
    tell
  done
  trim
}

trim() { # a console that goes on talking doesn't fill the disk
  [ -d "$vms" ] || return 0
  find "$root/journal" -size +1024k -exec sh -c ': >"$1"' trim {} \; 2>/dev/null
  find "$vms" -name console.log -size +16384k 2>/dev/null | while IFS= read -r log; do
    tail -c 8388608 "$log" >"$log.1" && : >"$log"
  done
}

key() { # NAME: what it takes to log in
  find_vm "$owned" "$1"
  look
  tell
  cat "$vm/key"
}

start() { # NAME
  need flock timeout
  find_vm "$owned" "$1"
  lock_vm
  look
  if [ "$state" != alive ]; then launch; fi
  tell
  cat "$vm/key"
}

launch() {
  arch='' machine='' accel=auto cpu='' forward=
  . "$vm/settings"
  arch=${arch:-$(uname -m)}
  qemu=$(command -v "qemu-system-$arch") || die missing "qemu-system-$arch"
  mend
  choose_accel
  cd "$vm" || exit
  rm -f pid qmp mon evt tty qga
  exec 9>alive
  timeout 10 flock 9 8>&- || die busy "the last process of ${vm##*/} is still ending"
  set --
  while IFS= read -r word; do set -- "$@" "$word"; done <argv
  if [ -z "$machine" ]; then
    case $arch in x86_64) machine=q35 ;; *) machine=virt ;; esac
  fi
  set -- "$@" -machine "$machine" -accel "$accel" -cpu "$cpu"
  tries=0
  while ! attempt "$@"; do
    case $(said) in
    *"host forwarding"*) [ "$tries" -lt 50 ] || refuse ;;
    *) refuse ;;
    esac
    tries=$((tries + 1))
  done
  printf '%s\n' "$boot" >started
  printf '%s\n' "$port" >port
  printf '%s\n' "$accel" >accelerated
  read -r pid <pid
  state=alive
  note "$owned" "${vm##*/}" start
}

refuse() { die refused "$(said | tail -n 3 | tr '\n' ' ')"; }

said() { cat qemu.err qemu.log 2>/dev/null; } # its log takes the place of stderr once it daemonises

# Ends as qemu does once the guest is under way, or can't be. The port is tried by taking it.
attempt() {
  port=0 rule=
  if [ -n "$forward" ]; then
    pick_port
    rule=,hostfwd=tcp:127.0.0.1:$port-:$forward
  fi
  rm -f qemu.log
  "$qemu" "$@" -netdev "user,id=net0$rule" -daemonize -pidfile pid -D qemu.log \
    </dev/null >/dev/null 2>qemu.err 8>&-
}

pick_port() { # below those that the kernel gives to whoever asks for none
  read -r a b c d e <<END
$(od -An -N10 -tu2 /dev/urandom)
END
  for port in "$a" "$b" "$c" "$d" "$e"; do
    port=$((20000 + port % 12000))
    hex=$(printf %04X "$port")
    grep -qs "^ *[0-9]*: [0-9A-F]*:$hex .* 0A " /proc/net/tcp /proc/net/tcp6 || return 0
  done
}

mend() { # what an older start has left that was cut off in the middle
  if [ -e "$vm/disk.qcow2" ] && [ "$state" = killed ]; then
    qemu-img check -q -r leaks "$vm/disk.qcow2" >/dev/null 2>&1
  fi
  return 0
}

finish() { # NAME SECONDS: waits for its end. Says "ended" or "alive".
  find_vm "$owned" "$1"
  look
  if [ "$state" = alive ] && ! ended "$2"; then
    echo alive
  else
    echo ended
  fi
}

kill_vm() { # NAME: what doesn't end by being asked
  find_vm "$owned" "$1"
  look
  if [ "$state" = alive ]; then
    kill -TERM "$pid" 2>/dev/null
    ended 5 || kill -KILL "$pid" 2>/dev/null
    ended 10 || die stuck "process $pid of $1 can't be killed"
  fi
  # taken away last: without it the VM counts as stopped
  look
  if [ "$state" != alive ]; then rm -f "$vm/pid"; fi
  echo ended
}

remove() { # NAME FORCE
  vm=$vms/$1
  [ -e "$vm/record" ] && read -r owner <"$vm/owner" && [ "$owner" = "$owned" ] || return 0
  exec 8>"$vm/lock"
  flock 8
  [ -e "$vm/record" ] || return 0
  look
  if [ "$state" = alive ]; then
    [ "$2" = yes ] || die running "$1"
    kill -KILL "$pid" 2>/dev/null
    ended 10 || die stuck "process $pid of $1 can't be killed"
  fi
  read -r id <"$vm/id"
  # gone in one step; what is in it may take a while
  mv "$vm" "$vms/.gone-$id" || exit
  note "$owned" "$1" remove
  rm -rf "$vms/.gone-$id"
}

stats() { # NAME: two samples, as `parse_stats` reads them
  find_vm "$owned" "$1"
  look
  tell
  [ "$state" = alive ] || return 0
  echo "$(getconf CLK_TCK 2>/dev/null || echo 100) $(getconf PAGESIZE 2>/dev/null || echo 4096)"
  sample
  sleep 0.1
  sample
}

sample() {
  read -r up _ </proc/uptime
  read -r line 2>/dev/null <"/proc/$pid/stat" || die stopped "${vm##*/}"
  echo "$up ${line##*) }"
}

logs() { # NAME FOLLOW TAIL SINCE: the console. With FOLLOW until qemu ends, or nobody reads any more.
  find_vm "$owned" "$1"
  look
  cd "$vm" || exit
  [ -e console.log ] || : >console.log
  # lines have no times: all that is known is when the last one came
  if [ "$4" -gt "$(stat -c %Y console.log)" ]; then set -- "$1" "$2" 0; fi
  if [ "$2" = no ] || [ "$state" != alive ]; then
    cat console.log.1 console.log 2>/dev/null | if [ "$3" = all ]; then cat; else tail -n "$3"; fi
    return 0
  fi
  exec 3<&0
  if [ "$3" = all ]; then set -- -c +1; else set -- -n "$3"; fi
  tail "$@" -f console.log &
  reading=$!
  flock alive true &
  living=$!
  { cat >/dev/null <&3; kill "$living"; } 2>/dev/null &
  wait "$living"
  kill "$reading" "$!" 2>/dev/null
}

watch() { # what there is, an empty line, then what is noted from then on, until nobody reads any more
  mkdir -p "$root"
  [ -e "$root/journal" ] || : >>"$root/journal"
  size=$(stat -c %s "$root/journal")
  survey
  list
  echo
  exec 3<&0
  tail -c "+$((size + 1))" -F "$root/journal" 2>/dev/null &
  reading=$!
  compare 3<&- &
  comparing=$!
  cat >/dev/null <&3
  kill "$reading" "$comparing"
}

compare() { # nobody notes what is done by hand: what is gone, and what runs, is looked for each second
  while
    before=$seen
    sleep 1 >/dev/null 2>&1
    survey
  do
    for each in $before; do
      case "$seen " in *" ${each%%:*}:"*) ;; *) echo "$owned ${each%%:*} gone" ;; esac
    done
    for each in $seen; do
      case "$each" in *:) continue ;; esac
      case "$before " in *" $each "*) ;; *) echo "$owned ${each%%:*} alive ${each#*:}" ;; esac
    done
  done
}

survey() { # sets $seen: a word NAME:ID:PID for each that runs, NAME: for the others. No process is started for it.
  seen=
  for vm in "$vms"/*; do
    read -r owner 2>/dev/null <"$vm/owner" && [ "$owner" = "$owned" ] && [ -e "$vm/record" ] || continue
    look
    if [ "$state" = alive ]; then seen="$seen ${vm##*/}:$id:$pid"; else seen="$seen ${vm##*/}:"; fi
  done
}

snapshots() { # NAME
  find_vm "$owned" "$1"
  look
  tell
  qemu-img info -U --output=json "$vm/disk.qcow2"
}

image() { # NAME ARGUMENT...: qemu-img on the disk of what doesn't run; "DISK" stands for its disk
  find_vm "$owned" "$1"
  lock_vm
  look
  [ "$state" != alive ] || die running "$1"
  shift
  for word; do
    shift
    case $word in DISK) word=$vm/disk.qcow2 ;; esac
    set -- "$@" "$word"
  done
  exec qemu-img "$@" 8>&-
}

belongings() {
  for vm in "$vms"/*; do
    [ -e "$vm/record" ] && read -r owner <"$vm/owner" && [ "$owner" = "$owned" ] || continue
    read -r record <"$vm/record"
    printf '%s\n%s\n' "$(du -sk "$vm" | cut -f1)" "$record"
  done
}

case $verb in
kill) kill_vm "$@" ;;
*) "$verb" "$@" ;;
esac
