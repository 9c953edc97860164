require_ours
state=$(state)
case $state in
FROZEN) ;;
RUNNING) lxc-freeze --name "$name" ;;
*) echo "$state"; exit $wrong ;;
esac
