# Arguments: keeper, key, id, what is written of the image, its SHA-256, the program that unpacks it. A tar of a root
# file system comes on standard input, or one that has it in rootfs/, as Incus and LXD have them.
keeper=$1 key=$2 id=$3 facts=$4 digest=$5 unpack=$6
lock_image "$key"
begin_image
mkfifo "$new/copy" || exit
sha256sum <"$new/copy" >"$new/digest" &
summing=$!
extended=
tar --help 2>&1 | grep -q -- --xattrs-include && extended='--xattrs --xattrs-include=*'
set -f
tee "$new/copy" | $unpack | tar -x -p --numeric-owner $extended -f - -C "$new/rootfs" 1>&2
status=$?
set +f
wait $summing
read -r found _ <"$new/digest"
# The link may have ended in the middle, which is no more than the end of the input.
[ "$found" = "$digest" ] || { echo "what came is not what was sent" >&2; exit 1; }
[ $status = 0 ] || exit $status
rm -f "$new/copy" "$new/digest"
if [ -d "$new/rootfs/rootfs" ] && [ -f "$new/rootfs/metadata.yaml" ]; then
  mv "$new/rootfs" "$new/outer" && mv "$new/outer/rootfs" "$new/rootfs" && rm -rf "$new/outer"
fi
if [ -e /usr/share/lxc/config/common.conf ]; then
  echo "lxc.include = /usr/share/lxc/config/common.conf" >"$new/config"
else
  : >"$new/config"
fi
finish_image "$id" "$key" "$facts"
