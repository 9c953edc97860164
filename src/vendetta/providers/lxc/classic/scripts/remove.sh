# Argument: yes, where it may be running.
lock
is_ours "$dir" || exit 0
state=$(state)
if [ "$state" != STOPPED ]; then
  [ "$1" = yes ] || { echo "$state"; exit $wrong; }
  [ "$state" = FROZEN ] && lxc-unfreeze --name "$name"
  lxc-stop --name "$name" --kill || [ $? = 2 ] || exit
fi
discard "$dir"
