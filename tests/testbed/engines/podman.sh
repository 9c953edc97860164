# Podman's service of the node's root, which speaks Docker's API, open to the group `podman` where there is one.
# The machine's dockerd is out of sight, unless the node has that engine too.

mount_podman() {
    mkdir -p /var/lib/containers /run/podman
    mount --bind "$FOLDER/fs/podman" /var/lib/containers
    case " $ENGINES " in
    *" docker "*) ;;
    *) if dockerd=$(command -v dockerd); then mount --bind /dev/null "$dockerd"; fi ;;
    esac
}

start_podman() {
    if ! [ -e /run/podman/place.pid ]; then make_place; fi
    rm -f /run/podman/podman.sock
    local flags=(--cgroup-manager cgroupfs --events-backend file)
    (
        join_cgroups
        exec setsid nsenter -t "$(cat /run/podman/place.pid)" --mount --cgroup \
            podman "${flags[@]}" system service --time 0 unix:///run/podman/podman.sock
    ) >>"$FOLDER/podman.log" 2>&1 </dev/null &
    echo $! >/run/podman/podman.pid
    until [ -S /run/podman/podman.sock ]; do sleep 0.05; done
    if getent group podman >/dev/null; then
        chgrp podman /run/podman/podman.sock
        chmod 660 /run/podman/podman.sock
    fi
    say_ready podman
}

# Podman takes no parent for its cgroups, and would leave them behind: the bed's own part of them is all that it sees,
# with its mounts, which outlive the service. (On cgroup v2 it sees everything: a group with processes has no others.)
make_place() {
    (
        join_cgroups
        exec setsid unshare --mount --cgroup bash -c '
            for group in $(hierarchies); do mount --bind "$group/$BRIDGE" "$group"; done
            echo $$ >/run/podman/place.pid
            exec sleep infinity'
    ) </dev/null &
    until [ -s /run/podman/place.pid ]; do sleep 0.02; done
}

join_cgroups() {
    export BRIDGE
    export -f hierarchies
    local group file
    for group in $(hierarchies); do
        mkdir -p "$group/$BRIDGE"
        for file in cpuset.cpus cpuset.mems; do # nothing runs in a group without them
            if [ -e "$group/$file" ]; then cat "$group/$file" >"$group/$BRIDGE/$file"; fi
        done
        echo $BASHPID >"$group/$BRIDGE/cgroup.procs"
    done
}

hierarchies() { # those of cgroup v1
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then return; fi
    local folder
    for folder in /sys/fs/cgroup/*/; do
        if [ -e "$folder/cgroup.procs" ] && [ ! -L "${folder%/}" ]; then echo "${folder%/}"; fi
    done
}

stop_podman() { # its containers go on, as on any machine
    start-stop-daemon --stop --quiet --oknodo --pidfile /run/podman/podman.pid --retry TERM/10/KILL/5
}
