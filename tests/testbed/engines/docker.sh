# A Docker Engine of the node's own; DISK_BYTES, where it is set, is all the room that it has, and empty at each boot.

mount_docker() {
    mkdir -p /var/lib/docker
    if [ -n "$DISK_BYTES" ]; then
        mount -t tmpfs -o "size=$DISK_BYTES" tmpfs /var/lib/docker
    else
        mount --bind "$FOLDER/fs/docker" /var/lib/docker
    fi
}

start_docker() {
    local flags=()
    case "$(dockerd --help)" in
    *--oom-score-adjust*) flags+=(--oom-score-adjust 0) ;; # older engines insist on -500, which takes CAP_SYS_RESOURCE
    esac
    NOTIFY_SOCKET="$FOLDER/docker.ready" setsid dockerd --pidfile /run/docker.pid "${flags[@]}" \
        >>"$FOLDER/dockerd.log" 2>&1 </dev/null &
}

stop_docker() {
    start-stop-daemon --stop --quiet --oknodo --pidfile /run/docker.pid --retry TERM/30/KILL/5
}
