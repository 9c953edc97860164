# Makes a VM's folder beside its place, then moves it there: it is there whole, or not at all. From stdin: a tar of its
# files. Arguments: owner, name, base image, size of the disk, sizes of the others, kernel, initrd, firmware, arch,
# the image's SHA-256; an image is a path, or the key of one in the store; "-" is none.
owner=$1 name=$2 base=$3 size=$4 disks=$5 kernel=$6 initrd=$7 firmware=$8 arch=$9 sha256=${10}
[ "$arch" != - ] || arch=$(uname -m)

existing() {
  vm=$vms/$name
  [ -e "$vm/record" ] || return 1
  cat >/dev/null
  look
  tell
  exit 0
}

resolve() { # IMAGE: sets $file and $format
  sha=
  case $1 in
  /*)
    file=$1
    [ -f "$file" ] && [ -r "$file" ] || die image "there is no file $file that can be read"
    case $(head -c 4 "$file" | od -An -tx1) in *"51 46 49 fb"*) format=qcow2 ;; *) format=raw ;; esac
    ;;
  *)
    { read -r sha format; } 2>/dev/null <"$images/names/$1" || die image "it is not on the node"
    file=$images/blobs/$sha
    [ -e "$file" ] || die image "its file is gone: $file"
    ;;
  esac
}

make_disk() {
  if [ "$base" = - ]; then
    [ "$size" = - ] || qemu-img create -q -f qcow2 disk.qcow2 "$size" >/dev/null || exit
    return
  fi
  resolve "$base"
  case $sha256 in - | "${sha:--}") ;; *) die content "the SHA-256 of its image is $sha instead of $sha256" ;; esac
  ln -s "$file" base
  qemu-img create -q -f qcow2 -b "$file" -F "$format" disk.qcow2 >/dev/null || exit
  [ "$size" = - ] || qemu-img resize -q disk.qcow2 "$size" >/dev/null 2>&1 || die size "$size"
}

make_others() {
  number=1
  for bytes in $disks; do
    [ "$bytes" = - ] || qemu-img create -q -f qcow2 "disk$number.qcow2" "$bytes" >/dev/null || exit
    number=$((number + 1))
  done
}

link_kernel() {
  if [ "$kernel" != - ]; then
    resolve "$kernel"
    ln -s "$file" kernel
  fi
  if [ "$initrd" != - ]; then
    resolve "$initrd"
    ln -s "$file" initrd
  fi
}

find_firmware() { # of UEFI, as distributions lay it out: code that is shared, variables of each VM's own
  [ "$firmware" = uefi ] || return 0
  for pair in $(firmware_pairs "$arch"); do
    if [ -r "${pair%:*}" ] && [ -r "${pair#*:}" ]; then
      ln -s "${pair%:*}" firmware.fd && cp "${pair#*:}" vars.fd && return
    fi
  done
  die firmware "no UEFI firmware for $arch is installed"
}

sweep() { # what was cut off in the middle: nobody holds its lock any more
  for left in "$vms"/.new-*; do
    [ -d "$left" ] || continue
    flock -n "$left" rm -rf "$left"
  done
  rm -rf "$vms"/.gone-*
}

need flock qemu-img tar
mkdir -p "$vms"
existing
[ ${#vms} -lt $((107 - ${#name} - 5)) ] || die long "$vms"
exec 9>"$root/lock"
flock 9 # until its own lock is held, the sweep of another would take it for left behind
new=$(mktemp -d "$vms/.new-XXXXXX") || exit
exec 8<"$new"
flock 8
flock -u 9
trap 'rm -rf "$new"' EXIT
trap 'exit 129' HUP TERM INT PIPE
cd "$new" || exit
tar -xf - || exit
make_disk
make_others
link_kernel
find_firmware
flock 9
existing 0</dev/null
mv "$new" "$vms/$name" || exit
note "$owner" "$name" create
sweep
vm=$vms/$name
look
tell
