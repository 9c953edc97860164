# Argument: the word that the first line begins with, as for exec.
word=$1
say() { echo "$word $*" >&2; }
is_ours "$dir" || { say absent; exit; }
state=$(state)
[ "$state" = RUNNING ] || { say wrong "$state"; exit; }
say run $$
exec lxc-console --name "$name" --tty 0 --escape y
