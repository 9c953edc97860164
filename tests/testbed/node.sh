#!/bin/bash
# What runs inside a node: `node.sh FOLDER boot` as its first process; the other verbs enter it later.
# FOLDER/node.env says what this node is; FOLDER/fs holds the files that are its own.
#
# Each engine is a file of its own, engines/NAME.sh, with three functions:
#   mount_NAME   gives it folders of this node's own; FOLDER/fs/NAME is there for them, and is kept over a reboot
#   start_NAME   starts it in the background, and lets FOLDER/NAME.ready hear READY=1 (sd_notify) once it answers:
#                the engine does so itself as NOTIFY_SOCKET, or `say_ready NAME` does
#   stop_NAME    ends it as the service manager would, and returns when it has ended
# It says OWN_CGROUPS=yes where it makes groups beside those of process 1, which would else lie about this machine.
set -euo pipefail
cd /
. "$1/node.env"
OWN_CGROUPS=no
for engine in $ENGINES; do . "$FOLDER/engines/$engine.sh"; done

boot() {
    if [ $OWN_CGROUPS = yes ] && [ -z "${IN_OWN_CGROUPS:-}" ]; then
        enter_cgroups "/$BRIDGE/$NAME"
        IN_OWN_CGROUPS=yes exec unshare --cgroup bash "$0" "$FOLDER" boot
    fi
    connect
    mount_files
    hostname "$NAME"
    for engine in $ENGINES; do "start_$engine"; done
    start_sshd
    # The first process of a pid namespace has to collect the orphans: bash does while it waits.
    while true; do
        sleep infinity &
        wait
    done
}

connect() {
    # The veth is made on the bed's side, and its other end given to us: to process 1, by the kernel's count and, since
    # some versions of ip look there, by that of /proc.
    exec 3<"/proc/$KEEPER/ns/net"
    mount -t proc proc /proc
    nsenter --net=/proc/self/fd/3 ip link add name "$LINK" type veth peer name eth0 address "$MAC" netns 1
    nsenter --net=/proc/self/fd/3 ip link set "$LINK" master "$BRIDGE" up
    exec 3<&-
    ip link set lo up
    ip addr add "$ADDRESS/24" dev eth0
    ip link set eth0 up
}

mount_files() {
    # sysfs shows the network namespace that it was mounted in; the cgroups below it are kept for dockerd.
    mkdir -p "$FOLDER/cgroup"
    mount --rbind /sys/fs/cgroup "$FOLDER/cgroup"
    mount -t sysfs sysfs /sys
    mount --rbind "$FOLDER/cgroup" /sys/fs/cgroup
    umount -l "$FOLDER/cgroup"
    if [ $OWN_CGROUPS = yes ]; then mount_cgroups; fi
    for path in etc root home; do
        mount --bind "$FOLDER/fs/$path" "/$path"
    done
    mount -t tmpfs -o mode=755 tmpfs /run
    mount -t tmpfs -o mode=755 tmpfs /var/log
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    mkdir -p /run/sshd /run/lock
    # The kernel's is this machine's. Only where it is asked for: a kernel refuses the namespaces of users a /proc of
    # their own if anything in this one is covered.
    if [ -n "$OWN_BOOT_ID" ]; then
        cat /proc/sys/kernel/random/uuid >/run/boot_id
        mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
    fi
    for engine in $ENGINES; do "mount_$engine"; done
}

enter_cgroups() { # $1: the group, in every hierarchy
    local mounted kind group file
    while read -r _ mounted kind _; do
        case $kind in cgroup | cgroup2) ;; *) continue ;; esac
        for group in "$(dirname "$1")" "$1"; do
            mkdir -p "$mounted$group"
            for file in cpuset.cpus cpuset.mems; do # a group of v1 has none to begin with, and takes no process
                if [ $kind = cgroup ] && [ -e "$mounted$group/$file" ]; then
                    cat "$(dirname "$mounted$group")/$file" >"$mounted$group/$file"
                fi
            done
        done
        find "$mounted$1" -mindepth 1 -depth -type d -exec rmdir {} + # of the boot before
        echo $$ >"$mounted$1/cgroup.procs"
    done </proc/self/mounts
}

mount_cgroups() { # each hierarchy anew, from this node's own group down
    local mounted kind options
    while read -r _ mounted kind _; do
        case $kind in cgroup | cgroup2) ;; *) continue ;; esac
        options=$(awk -v at="$mounted" '$5 == at { options = $NF } END { print options }' /proc/self/mountinfo)
        case $options in *name=*) options=none,$options ;; esac
        umount -l "$mounted" # the kernel takes the same file system at the same place for a mistake
        mount -t "$kind" -o "$options" cgroup "$mounted"
        if [ $kind = cgroup2 ] && [ "$mounted" = /sys/fs/cgroup ]; then
            # a group with processes can't limit those below it; lxc knows that process 1 may have moved to this one
            mkdir "$mounted/init.scope"
            echo 1 >"$mounted/init.scope/cgroup.procs"
            sed 's/^\|[[:space:]]/&+/g' "$mounted/cgroup.controllers" >"$mounted/cgroup.subtree_control"
        fi
    done <<<"$(</proc/self/mounts)"
}

build_preseed() { # $1: the bridge, $2: its address
    cat <<END
networks: [{name: $1, type: bridge, config: {ipv4.address: $2, ipv4.nat: "false", ipv6.address: none}}]
storage_pools: [{name: default, driver: dir}]
profiles:
- name: default
  devices:
    root: {path: /, pool: default, type: disk}
    eth0: {name: eth0, network: $1, type: nic}
END
}

say_ready() {
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => shift)->send("READY=1")' \
        "$FOLDER/$1.ready"
}

start_sshd() {
    local sshd config=/etc/ssh/sshd_config penalties=PerSourcePenalties=no flags=()
    sshd=$(command -v sshd) # it insists on its full path
    # Since 9.8 it shuts out a whole address for a while after failed logins, and all tests have one address.
    if ! grep -qi '^PerSourcePenalties' $config && "$sshd" -t -f $config -o $penalties 2>/dev/null; then
        flags+=(-o $penalties)
    fi
    NOTIFY_SOCKET="$FOLDER/sshd.ready" "$sshd" -f $config -E "$FOLDER/sshd.log" "${flags[@]}"
}

stop_sshd() { # the listener alone: sessions go on, as on any machine
    start-stop-daemon --stop --quiet --oknodo --pidfile /run/sshd.pid --retry TERM/10/KILL/5
}

"$2"
