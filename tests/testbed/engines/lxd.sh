# LXD, with a pool of plain folders and a bridge for its instances. Its state is kept over a reboot of the node.

OWN_CGROUPS=yes # the instances' groups are made beside those of process 1

mount_lxd() {
    mkdir -p /var/log/lxd
    mount --bind "$FOLDER/fs/lxd" /var/lib/lxd
}

start_lxd() {
    setsid lxd --group lxd --logfile="$FOLDER/lxd-daemon.log" >>"$FOLDER/lxd.log" 2>&1 </dev/null &
    echo $! >/run/lxd-daemon.pid
    {
        lxd waitready --timeout=60
        lxc network show lxdbr0 >/dev/null 2>&1 || build_preseed lxdbr0 10.32.2.1/24 | lxd init --preseed
        say_ready lxd
    } >>"$FOLDER/lxd.log" 2>&1 </dev/null &
}

stop_lxd() { # its instances go on; what is run in them by exec would hold it up for minutes
    start-stop-daemon --stop --quiet --oknodo --pidfile /run/lxd-daemon.pid --retry TERM/3/KILL/5
}
