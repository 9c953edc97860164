# A line for each change of what is ours: its name, and the state that it is in now.
exec 3<&0
pipe=$(mktemp -u) && mkfifo "$pipe" || exit
lxc-monitor --name 'vendetta-.*' >"$pipe" &
monitoring=$!
{ cat >/dev/null; kill $monitoring 2>/dev/null; } <&3 &
watching=$!
exec 4<"$pipe"
rm -f "$pipe"
while read -r each _ _ _ state <&4; do
  each=${each#\'} each=${each%\'}
  case $state in "["*"]") ;; *) continue ;; esac
  is_ours "$lxcpath/$each" || continue
  state=${state#[} state=${state%]}
  echo "${each#vendetta-} $state"
done
kill $watching 2>/dev/null
exit 1
