# Lines: name, seconds since the epoch, KiB.
require_ours
for each in "$dir"/snapshots/*/; do
  read -r made size <"${each}info" 2>/dev/null || continue
  each=${each%/}
  echo "${each##*/} $made $size"
done
