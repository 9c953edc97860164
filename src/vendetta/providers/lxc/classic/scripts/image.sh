# For the scripts that make images: an image is a folder, made under another name and then moved.
mkdir -p "$home/images" "$home/names" "$home/locks"

# Of one image alone: making one takes its time.
lock_image() { exec 8>"$home/locks/$1" && flock 8; }

begin_image() {
  new=$home/images/.new.$$
  trap 'rm -rf "$new"' EXIT
  trap 'exit 1' HUP INT TERM
  mkdir -p "$new/rootfs" || exit
}

# $1 is its id, $2 its key, $3 what is written of it.
finish_image() {
  # What has no init of its own is kept up by ours. A link that leads out of the image is not followed.
  init=
  for each in sbin/init usr/sbin/init; do
    [ -n "$init" ] || { [ -h "$new/rootfs/$each" ] && init=$(readlink "$new/rootfs/$each"); }
    [ -n "$init" ] || { [ -f "$new/rootfs/$each" ] && init=$each; }
  done
  # Elsewhere in the configuration of a template.
  grep -q '^lxc\.init\.cmd' "$new/config" && init=own
  if [ -z "$init" ]; then
    : >"$new/keeper"
    echo "lxc.init.cmd = /bin/sh /dev/.vendetta" >>"$new/config"
    echo "lxc.mount.entry = $home/keeper dev/.vendetta none bind,ro,create=file 0 0" >>"$new/config"
  elif [ "${init##*/}" = busybox ]; then
    echo "lxc.signal.halt = SIGUSR1" >>"$new/config"
  fi
  du -sk "$new/rootfs" | cut -f1 >"$new/size"
  printf '%s\n' "$3" >"$new/image.json"
  lock
  printf '%s\n' "$keeper" >"$home/keeper.new" && mv "$home/keeper.new" "$home/keeper"
  [ -e "$home/images/$1" ] || mv "$new" "$home/images/$1" || exit
  name_image "$1" "$2"
}

# Under the lock.
name_image() {
  ln -s "../images/$1" "$home/names/.new.$$" && mv -T "$home/names/.new.$$" "$home/names/$2" || exit
  sweep_images
}

is_needed() { grep -qsF "$home/images/$1/" "$lxcpath"/*/config; }

# Takes away what has no name any more, and nobody needs.
sweep_images() {
  named=" $(for link in "$home"/names/*; do readlink "$link"; done | tr '\n' ' ') "
  for each in "$home"/images/*/; do
    each=${each%/} each=${each##*/}
    case $named in *"/$each "*) continue ;; esac
    is_needed "$each" || discard "$home/images/$each"
  done
}
