# Arguments: the process id of an lxc-attach or lxc-console, and the signal for what it runs. Gone already: success.
# An lxc-attach runs from a copy of itself in memory, which has its name with something before it.
tries=100
while read -r command 2>/dev/null <"/proc/$1/comm" && [ $tries -gt 0 ]; do
  case $command in
  lxc-console) kill -s "$2" "$1"; break ;;
  *lxc-attac*) ;;
  *) break ;;
  esac
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
    read -r command 2>/dev/null <"/proc/$child/comm"
    case $command in *lxc-attac*) ;; *) kill -s "$2" "$child" && exit 0 ;; esac
  done
  # It is on its way into the container still: whoever was killed there now would leave the command behind.
  sleep 0.05
  tries=$((tries - 1))
done
exit 0
