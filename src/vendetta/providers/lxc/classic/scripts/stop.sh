# Argument: the seconds that it gets to end by itself.
require_ours
case $(state) in
STOPPED) exit 0 ;;
FROZEN | FREEZING) lxc-unfreeze --name "$name" ;;
esac
if [ "$1" = 0 ]; then set -- --kill; else set -- --timeout "$1"; fi
lxc-stop --name "$name" "$@"
status=$?
[ $status = 2 ] && exit 0 # it has stopped in the meantime
exit $status
