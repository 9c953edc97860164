# Argument: the snapshot's name.
lock
require_stopped
source=$dir/snapshots/$1
[ -e "$source" ] || exit $no_snapshot
rm -rf "$dir/delta.new"
cp -a --reflink=auto "$source/delta" "$dir/delta.new" || exit
# Without the layer, in the moment between, it would not start; this very script begins again.
[ -e "$dir/delta" ] && discard "$dir/delta"
mv "$dir/delta.new" "$dir/delta" && rm -rf "$dir/work"
