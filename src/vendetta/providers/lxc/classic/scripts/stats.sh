# Two samples, as lines of a key and a number: cgroups of version 1 and 2 each in their own words.
require_running
pid=$(lxc-info --name "$name" --pid --no-humanize)
root=/sys/fs/cgroup
find_group() { # of the controller $1 (version 2: nothing), as a folder
  while IFS=: read -r _ controllers path; do
    case ",$controllers," in *",$1,"*) break ;; esac
  done <"/proc/$pid/cgroup"
  echo "$root${1:+/$1}${path%/init.scope}"
}
tell() { # each number of a file of the form "key number"
  while read -r key value; do echo "$1.$key $value"; done <"$2"
}
sample() {
  echo "at $(cut -d' ' -f1 /proc/uptime)"
  if [ -e $root/cgroup.controllers ]; then tell cpu "$cpu/cpu.stat"; else echo "cpu.usage $(cat "$cpu/cpuacct.usage")"; fi
}
if [ -e $root/cgroup.controllers ]; then
  cpu=$(find_group '') memory=$cpu pids=$cpu
  echo "memory.usage $(cat "$memory/memory.current")"
  echo "memory.limit $(cat "$memory/memory.max")"
else
  cpu=$(find_group cpuacct) memory=$(find_group memory) pids=$(find_group pids)
  echo "memory.usage $(cat "$memory/memory.usage_in_bytes")"
  echo "memory.limit $(cat "$memory/memory.limit_in_bytes")"
fi
tell memory "$memory/memory.stat"
echo "pids $(cat "$pids/pids.current")"
while read -r interface received _ _ _ _ _ _ _ sent _; do
  case $interface in lo: | *[!:]) ;; *) echo "received $received"; echo "sent $sent" ;; esac
done <"/proc/$pid/net/dev"
sample
sleep 0.1
sample
