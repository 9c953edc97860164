require_ours
state=$(state)
case $state in
RUNNING) ;;
FROZEN) lxc-unfreeze --name "$name" ;;
*) echo "$state"; exit $wrong ;;
esac
