# Classic LXC: no daemon, but a bridge with DHCP, as Debian's lxc-net makes it.

OWN_CGROUPS=yes # the containers' groups are made beside those of process 1

mount_lxc() {
    mkdir -p "$FOLDER/fs/lxc/lib" "$FOLDER/fs/lxc/cache"
    mount --bind "$FOLDER/fs/lxc/lib" /var/lib/lxc
    mount --bind "$FOLDER/fs/lxc/cache" /var/cache/lxc
}

start_lxc() {
    ip link add name lxcbr0 type bridge
    ip addr add 10.0.3.1/24 dev lxcbr0
    ip link set lxcbr0 up
    dnsmasq --conf-file=/dev/null --interface=lxcbr0 --except-interface=lo --bind-interfaces --listen-address=10.0.3.1 \
        --dhcp-range=10.0.3.2,10.0.3.99 --dhcp-leasefile="$FOLDER/fs/lxc/leases" --pid-file=/run/dnsmasq-lxc.pid \
        --user=root --port=0 --log-facility="$FOLDER/lxc.log"
    say_ready lxc
}

stop_lxc() { # the containers go on: there is nothing that they hang on
    start-stop-daemon --stop --quiet --oknodo --pidfile /run/dnsmasq-lxc.pid --retry TERM/10/KILL/5
    ip link del lxcbr0
}
