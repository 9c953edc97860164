# Argument: key.
lock
image=$(readlink "$home/names/$1") || exit 0
image=${image##*/}
if is_needed "$image"; then exit $wrong; fi
rm -f "$home/names/$1"
sweep_images
