# Arguments: yes to follow, how many lines from the end (all: the whole).
follow=$1 tail=$2
require_ours
log=$dir/console.log
whole() { cat "$log.1" "$log" 2>/dev/null; }
if [ "$follow" = no ]; then
  if [ "$tail" = all ]; then whole; else whole | tail -n "$tail"; fi
  exit 0
fi

# The reader goes when it likes: that is the end of standard input.
exec 3<&0
[ -e "$log" ] || : >"$log"
if [ "$tail" = all ]; then
  cat "$log.1" 2>/dev/null
  tail=+1
fi
if tail --help 2>&1 | grep -q -e --pid; then
  lxc-wait --name "$name" --state STOPPED &
  waiting=$!
  # What is told of the process that it waits for is read once more after its end: nothing is lost.
  tail -n "$tail" -F --pid=$waiting "$log" 2>/dev/null &
  reading=$!
else
  # busybox's looks once a second.
  tail -n "$tail" -F "$log" 2>/dev/null &
  reading=$!
  {
    trap 'kill $stopped; exit' TERM
    lxc-wait --name "$name" --state STOPPED &
    stopped=$!
    wait $stopped
    sleep 2
    kill $reading
  } &
  waiting=$!
fi
{ cat >/dev/null; kill $waiting $reading 2>/dev/null; } <&3 &
watching=$!
wait $reading
kill $watching $waiting 2>/dev/null
exit 0
