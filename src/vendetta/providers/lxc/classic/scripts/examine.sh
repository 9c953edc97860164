# Lines of a key and what was found.
command -v lxc-start >/dev/null || exit 0
echo "version $(lxc-start --version)"
bridge=
if [ -r /etc/lxc/default.conf ]; then
  while read -r key _ value; do [ "$key" = lxc.net.0.link ] && bridge=$value; done </etc/lxc/default.conf
fi
bridge=${bridge:-lxcbr0}
echo "bridge $bridge"
[ -e "/sys/class/net/$bridge" ] &&
  echo "address $(ip -4 -o addr show dev "$bridge" | sed -n '1s/.* inet \([^ ]*\).*/\1/p')"
if grep -qw overlay /proc/filesystems || modprobe -nq overlay 2>/dev/null; then echo "overlay yes"; fi
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  read -r controllers </sys/fs/cgroup/cgroup.controllers
else
  controllers=$(sed -n 's/^\(memory\|cpu\|pids\)\t.*\t1$/\1/p' /proc/cgroups | tr '\n' ' ')
fi
echo "controllers $controllers"
echo "path $lxcpath"
echo "free $(df -Pk "$lxcpath" | sed -n '$p' | { read -r _ _ _ free _; echo "$free"; })"
