# Lines: key, id, KiB, what was written of it when it was made.
for link in "$home"/names/*; do
  image=$(readlink "$link") || continue
  read -r size <"$home/images/${image##*/}/size" 2>/dev/null || continue
  read -r facts <"$home/images/${image##*/}/image.json"
  echo "${link##*/} ${image##*/} $size $facts"
done
