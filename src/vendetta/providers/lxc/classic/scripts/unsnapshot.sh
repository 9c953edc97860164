# Argument: the snapshot's name.
lock
require_ours
[ -e "$dir/snapshots/$1" ] || exit 0
discard "$dir/snapshots/$1"
