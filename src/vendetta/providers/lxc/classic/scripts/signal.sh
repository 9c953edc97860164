# Arguments: the process id of an lxc-attach, and the signal for what it runs. Gone already: success.
read -r command <"/proc/$1/comm" 2>/dev/null
[ "$command" = lxc-attach ] || exit 0
for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do kill -s "$2" "$child"; done
exit 0
