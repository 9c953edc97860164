# Incus, with a pool of plain folders and a bridge for its instances. Its state is kept over a reboot of the node.

OWN_CGROUPS=yes # the instances' groups are made beside those of process 1

mount_incus() {
    mkdir -p /var/log/incus /run/incus
    mount --bind "$FOLDER/fs/incus" /var/lib/incus
}

start_incus() {
    local daemon=/usr/libexec/incus/incusd
    PATH=/usr/libexec/incus:$PATH setsid "$daemon" --group incus-admin --logfile="$FOLDER/incusd.log" \
        >>"$FOLDER/incus.log" 2>&1 </dev/null &
    echo $! >/run/incusd.pid
    {
        "$daemon" waitready --timeout=60
        incus network show incusbr0 >/dev/null 2>&1 || build_preseed incusbr0 10.32.1.1/24 | incus admin init --preseed
        say_ready incus
    } >>"$FOLDER/incus.log" 2>&1 </dev/null &
}

stop_incus() { # its instances go on; what is run in them by exec would hold it up for minutes
    start-stop-daemon --stop --quiet --oknodo --pidfile /run/incusd.pid --retry TERM/3/KILL/5
}
