# Argument: the snapshot's name. A line as snapshots.sh has them.
snapshot=$1
lock
require_ours
target=$dir/snapshots/$snapshot
if [ ! -e "$target" ]; then
  # The layer's marks are extended attributes, which only GNU's cp keeps.
  cp --version >/dev/null 2>&1 || { echo "cp of this node keeps no extended attributes" >&2; exit 1; }
  rm -rf "$dir/snapshots.new"
  mkdir -p "$dir/snapshots" "$dir/snapshots.new" || exit
  if [ "$(state)" = RUNNING ]; then
    trap 'lxc-unfreeze --name "$name"' EXIT
    trap 'exit 1' HUP INT PIPE TERM # PIPE: the caller is gone, and nobody reads what it is told
    lxc-freeze --name "$name" || exit
  fi
  cp -a --reflink=auto "$dir/delta" "$dir/snapshots.new/delta" || exit
  echo "$(date +%s) $(du -sk "$dir/snapshots.new/delta" | cut -f1)" >"$dir/snapshots.new/info"
  mv "$dir/snapshots.new" "$target" || exit
fi
read -r made size <"$target/info" && echo "$snapshot $made $size"
