# Classic LXC: no daemon, and a bridge of the node's own, without DHCP: what wants an address is given one.

mount_lxc() {
    mkdir -p "$FOLDER/fs/lxc/lib" "$FOLDER/fs/lxc/cache"
    mount --bind "$FOLDER/fs/lxc/lib" /var/lib/lxc
    mount --bind "$FOLDER/fs/lxc/cache" /var/cache/lxc
}

start_lxc() {
    local hierarchy
    # Containers are put below the cgroups of process 1. Those of the bed go with it, whatever is left in them.
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        enter_cgroup "/sys/fs/cgroup/$BRIDGE/$NAME/init.scope"
    else
        for hierarchy in /sys/fs/cgroup/*/; do enter_cgroup "$hierarchy$BRIDGE/$NAME"; done
    fi
    ip link add name lxcbr0 type bridge
    ip addr add 10.0.3.1/24 dev lxcbr0
    ip link set lxcbr0 up
    say_ready lxc
}

enter_cgroup() {
    local folder=$1 file
    mkdir -p "$folder"
    # The old cpusets take nobody in before they have been told what they are made of.
    for file in cpuset.cpus cpuset.mems; do
        if [ -e "$folder/$file" ] && [ ! -e "$folder/cgroup.controllers" ]; then
            cat "$folder/../../$file" >"$folder/../$file"
            cat "$folder/../$file" >"$folder/$file"
        fi
    done
    echo 1 >"$folder/cgroup.procs"
}

stop_lxc() {
    local name
    for name in $(lxc-ls -1 --active); do lxc-stop --kill --name "$name"; done
}
