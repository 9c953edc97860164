# Arguments: key, id. Gives what is there under this id the name too; or else says that it isn't there.
lock
[ -e "$home/images/$2" ] || exit $no_image
name_image "$2" "$1"
