# Lines: "instance", its name, its mark; "snapshot", the instance's name, its own, KiB; "image", key, KiB.
for dir in "$lxcpath"/vendetta-*; do
  is_ours "$dir" || continue
  echo "instance ${dir##*/}"
  for each in "$dir"/snapshots/*/; do
    read -r _ size <"${each}info" 2>/dev/null || continue
    each=${each%/}
    echo "snapshot ${dir##*/} ${each##*/} $size"
  done
done
for link in "$home"/names/*; do
  image=$(readlink "$link") || continue
  image=$home/images/${image##*/}
  read -r facts 2>/dev/null <"$image/image.json" || continue
  case $facts in "$ours"*) ;; *) continue ;; esac
  read -r size <"$image/size"
  echo "image ${link##*/} $size"
done
