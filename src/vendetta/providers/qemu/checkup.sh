# What the node has for VMs: lines of a key and a value.
arch=$(uname -m)
qemu=$(command -v "qemu-system-$arch") || qemu=
echo "arch $arch"
if [ -n "$qemu" ]; then
  # QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)
  echo "qemu $("$qemu" --version 2>/dev/null | sed -n '1s/.*version \([^ ]*\).*/\1/p')"
fi
for program in qemu-img flock timeout tar gzip curl wget; do
  if command -v "$program" >/dev/null; then echo "program $program"; fi
done
[ "${1:-}" = all ] || exit 0
if [ -e /dev/kvm ]; then
  if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
    mkdir -p "$root"
    if [ -n "$qemu" ] && proved "$qemu" "$arch"; then echo "kvm works"; else echo "kvm fails"; fi
  else
    echo "kvm closed $(stat -c %G /dev/kvm) $(id -un)"
  fi
else
  echo "kvm absent"
fi
for pair in $(firmware_pairs "$arch"); do
  if [ -r "${pair%:*}" ] && [ -r "${pair#*:}" ]; then
    echo "firmware ${pair%:*}"
    break
  fi
done
folder=$root
while [ ! -d "$folder" ]; do folder=${folder%/*}; done
echo "free $(df -Pk "$folder" | tail -n 1 | { read -r _ _ _ free _; echo "$free"; })"
echo "root $root"
