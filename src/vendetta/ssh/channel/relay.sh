# The way to a socket or a port of the node by a session: some program of the node carries the bytes.
# $mark and $python come before; then: unix PATH, or tcp HOST PORT. The line that the caller waits for comes first,
# because startup files of the login may have written something before it.
kind=$1
if command -v python3 >/dev/null 2>&1; then exec python3 -ISc "$python" "$mark" "$@"; fi
if [ "$kind" = unix ]; then
  if command -v socat >/dev/null 2>&1; then echo "$mark open"; exec socat -t 31536000 - "UNIX-CONNECT:$2"; fi
  if command -v docker >/dev/null 2>&1; then
    echo "$mark open"
    DOCKER_HOST="unix://$2"; export DOCKER_HOST
    exec docker system dial-stdio
  fi
  if nc -h 2>&1 | grep -q -e '-U'; then echo "$mark open"; exec nc -N -U "$2"; fi
else
  if command -v socat >/dev/null 2>&1; then echo "$mark open"; exec socat -t 31536000 - "TCP:$2:$3"; fi
  if nc -h 2>&1 | grep -q -e '-N'; then echo "$mark open"; exec nc -N "$2" "$3"; fi
fi
echo "$mark none"
