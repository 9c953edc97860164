# Arguments: the mark's whole line, the key of the image, the configuration, the MAC address, the bridge or nothing; for
# each mount its source, and an entry without its end. For the lines of the configuration see config.py.
mark=$1 image=$2 config=$3 mac=$4 bridge=$5; shift 5
lock
if is_ours "$dir"; then
  show "$(state)"
  exit
fi
[ -e "$dir" ] && exit $taken
image=$(readlink "$home/names/$image") || exit $no_image
image=$home/images/${image##*/}

if [ -z "$bridge" ] && [ -r /etc/lxc/default.conf ]; then
  while read -r key _ value; do [ "$key" = lxc.net.0.link ] && bridge=$value; done </etc/lxc/default.conf
fi
bridge=${bridge:-lxcbr0}
[ -e "/sys/class/net/$bridge" ] || { echo "$bridge"; exit $no_bridge; }

# The cgroups that this node has: version 1 or 2, and whether it counts swap.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  kinds=2
  for file in /sys/fs/cgroup/*/memory.swap.max; do [ -e "$file" ] && kinds=2S; done
else
  kinds=1
  [ -e /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes ] && kinds=1s
fi

octets() { # of the address $1, as one number
  rest=$1 number=0
  for each in 1 2 3 4; do number=$((number * 256 + ${rest%%.*})) rest=${rest#*.}; done
  echo "$number"
}

# Sets $address, from the top of the bridge's subnet: nobody's that a container is set to, was lent, or was heard of.
choose_address() {
  taken_addresses=" $(sed -n 's/^lxc\.net\.0\.ipv4\.address *= *\([0-9.]*\).*/\1/p' "$lxcpath"/*/config 2>/dev/null |
    cat - /var/lib/misc/dnsmasq."$bridge".leases 2>/dev/null | tr '\n' ' ') $(ip -4 neigh show dev "$bridge" | tr '\n' ' ') "
  mask=$((0xffffffff << (32 - prefix) & 0xffffffff)) own=$(octets "$gateway")
  candidate=$(((own & mask) + (0xffffffff & ~mask) - 1))
  while [ "$candidate" -gt $((own & mask)) ]; do
    address=$((candidate >> 24 & 255)).$((candidate >> 16 & 255)).$((candidate >> 8 & 255)).$((candidate & 255))
    case $taken_addresses in *" $address "*) ;; *) [ "$candidate" = "$own" ] || return 0 ;; esac
    candidate=$((candidate - 1))
  done
  echo "$bridge"
  exit $no_address
}

count=$#
while [ $count -gt 0 ]; do
  [ -e "$1" ] || { echo "$1"; exit $no_source; }
  kind=file
  [ -d "$1" ] && kind=dir
  set -- "$@" "$2,create=$kind 0 0"
  shift 2
  count=$((count - 2))
done

rm -rf "$home/new"
new=$home/new/$name
mkdir -p "$new/delta" "$new/rootfs" || exit
chmod 700 "$new"
{
  echo "lxc.include = $image/config"
  echo "lxc.rootfs.path = overlay:$image/rootfs:$dir/delta"
  echo "lxc.console.logfile = $dir/console.log"
  echo "lxc.net.0.type = veth"
  echo "lxc.net.0.link = $bridge"
  echo "lxc.net.0.flags = up"
  echo "lxc.net.0.hwaddr = $mac"
  # Who boots an init of its own asks for an address by itself, where somebody lends them (UDP port 67).
  gateway=$(ip -4 -o addr show dev "$bridge" | sed -n '1s/.* inet \([^ ]*\).*/\1/p')
  if [ -n "$gateway" ] && { [ -e "$image/keeper" ] || ! grep -q ':0043 ' /proc/net/udp; }; then
    prefix=${gateway#*/} gateway=${gateway%/*}
    choose_address >&3
    [ -e "$image/keeper" ] && echo "$address" >"$new/address"
    echo "lxc.net.0.ipv4.address = $address/$prefix"
    echo "lxc.net.0.ipv4.gateway = $gateway"
  fi
  printf '%s\n' "$config" | sed -n "s/^[-$kinds] //p"
  if [ $# -gt 0 ]; then printf 'lxc.mount.entry = %s\n' "$@"; fi
} 3>&1 >"$new/config" || exit
# The upper layer is what stands for the root folder itself.
chmod --reference="$image/rootfs" "$new/delta" 2>/dev/null || chmod 755 "$new/delta"
printf '%s\n' "$mark" >"$new/vendetta.json" && mv "$new" "$dir" || exit
show STOPPED
