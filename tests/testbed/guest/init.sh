#!/bin/sh
# The init of a test guest. It understands so much of a NoCloud seed as cloud-init needn't be there for: host name, keys.
export PATH=/bin:/sbin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /run/sshd /seed
mount -t devpts pts /dev/pts
for disk in /dev/vd?; do
    mount -t iso9660 -o ro "$disk" /seed 2>/dev/null && [ -e /seed/meta-data ] && break
    umount /seed 2>/dev/null
done
value() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$2"; }
hostname "$(value local-hostname /seed/meta-data)"
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
sed -n 's/^ *"\(ssh-ed25519 [^"]*\)",\{0,1\}$/\1/p' /seed/user-data >/root/.ssh/authorized_keys
umask 077
printf '%b' "$(value ed25519_private /seed/user-data)" >/etc/ssh/host_key
umask 022
rm -f /run/sshd.pid # of an earlier boot: this is no memory disk
/usr/sbin/sshd -f /etc/ssh/sshd_config
# it goes into the background before it listens, and writes its number once it does
until [ -s /run/sshd.pid ]; do sleep 0.02; done
# whoever started this machine may be told
for port in /dev/vport*; do
    read -r name <"/sys/class/virtio-ports/${port##*/}/name" && [ "$name" = dev.vendetta.ready ] && : >"$port"
done
echo "$(hostname) is up"
setsid cttyhack sh -l </dev/console >/dev/console 2>&1 &
button=$(grep -l Power /sys/class/input/event*/device/name | head -n 1)
button=${button%/device/name}
head -c 24 "/dev/input/${button##*/}" >/dev/null
sync
mount -o remount,ro /
poweroff -f
