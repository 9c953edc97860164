require_ours
said=$dir/start.log
: >"$said"
if lxc-start --name "$name" --logfile "$said" --logpriority ERROR 2>/dev/null; then
  # It says so too of one that runs already, or is frozen.
  [ -s "$said" ] || exit 0
  if [ "$(state)" = FROZEN ]; then lxc-unfreeze --name "$name"; fi
  exit
fi
# Somebody else may be starting it just now.
if [ "$(state)" != STOPPED ] && lxc-wait --name "$name" --state 'RUNNING|STOPPED' --timeout 30; then
  [ "$(state)" = RUNNING ] && exit 0
fi
tail -n 20 "$said" >&2
exit 1
