# Arguments: keeper, key, id, what is written of the image, yes to make it again, the template, its arguments.
keeper=$1 key=$2 id=$3 facts=$4 again=$5 template=$6; shift 6
lock_image "$key"
if [ "$again" = no ] && [ -h "$home/names/$key" ]; then exit 0; fi
begin_image
if [ "$template" = download ]; then
  # Without it the template asks.
  case " $* " in *" --arch "*) ;; *)
    arch=$(uname -m)
    case $arch in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; armv7*) arch=armhf ;; i?86) arch=i386 ;; esac
    set -- "$@" --arch "$arch" ;;
  esac
fi
# Without the node's defaults: what belongs to one container alone is said where that is made.
lxc-create --name made --lxcpath "$new" --config /dev/null --template "$template" -- "$@" </dev/null >&2 || exit $no_image
rmdir "$new/rootfs" && mv "$new/made/rootfs" "$new/rootfs" || exit
sed -e '/^lxc\.\(rootfs\.path\|uts\.name\|net\.\)/d' -e "s|$new/made|$home/images/$id|g" "$new/made/config" >"$new/config"
rm -rf "$new/made"
finish_image "$id" "$key" "$facts"
