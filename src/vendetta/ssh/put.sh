# Takes a file, or a folder as a tar archive, from stdin. Arguments: mark, "file" or "folder", target, name.
LC_ALL=C; export LC_ALL
target=$3
if [ -d "$target" ]; then target=${target%/}/$4; fi
if [ "$2" = file ]; then
  exec cat >"$target"
fi
[ -d "$target" ] || mkdir -- "$target" || exit
exec tar -xf - -C "$target"
