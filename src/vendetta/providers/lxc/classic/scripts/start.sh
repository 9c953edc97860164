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
# The first is the reason, and what comes last is what people are told.
sed 's/^lxc-start .* ERROR *//' "$said" | { read -r reason; head -n 20; printf '%s\n' "$reason"; } >&2
exit 1
