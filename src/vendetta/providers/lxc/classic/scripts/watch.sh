# A line for each change of what is ours: its name, and the state that it is in now; before them one without a name.
exec 3<&0
pipe=$(mktemp -u) && mkfifo "$pipe" || exit
lxc-monitor --name 'vendetta-.*' >"$pipe" &
monitoring=$!
{ cat >/dev/null; kill $monitoring 2>/dev/null; } <&3 &
watching=$!
exec 4<"$pipe"
rm -f "$pipe"
# It listens once it has a socket: an empty name says so.
tries=0
until ls -l "/proc/$monitoring/fd" 2>/dev/null | grep -q socket: || [ $tries -ge 20 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
echo " WATCHING"
# Nobody tells of what is removed: it is looked for each second, and more often after an end.
tell_removed() { [ -e "$lxcpath/$1" ] || echo "${1#vendetta-} REMOVED"; }
{
  while
    before=
    for dir in "$lxcpath"/vendetta-*/; do
      dir=${dir%/}
      is_ours "$dir" && before="$before ${dir##*/}"
    done
    sleep 1 >/dev/null
  do
    for each in $before; do tell_removed "$each"; done
  done
} <&- &
looking=$! known=
while read -r each _ _ _ state <&4; do
  each=${each#\'} each=${each%\'}
  case $state in "["*"]") ;; *) continue ;; esac
  if is_ours "$lxcpath/$each"; then
    case $known in *" $each "*) ;; *) known="$known $each " ;; esac
  else
    case $known in *" $each "*) tell_removed "$each" ;; esac
    continue
  fi
  state=${state#[} state=${state%]}
  echo "${each#vendetta-} $state"
  [ "$state" = STOPPED ] && for _ in 1 2 3; do
    sleep 0.5 >/dev/null
    tell_removed "$each"
  done &
done
kill $watching $looking 2>/dev/null
exit 1
