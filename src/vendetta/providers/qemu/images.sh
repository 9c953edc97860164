# The store of images: their content by its SHA-256, once for all VMs of this user; and their names. Arguments: a verb,
# and what it takes.
verb=$1
shift
blobs=$images/blobs names=$images/names
mkdir -p "$blobs" "$names"

list() {
  for file in "$names"/*; do
    [ -e "$file" ] || continue
    { read -r sha format; IFS= read -r record; } <"$file"
    echo "$sha $format $(stat -c %s "$blobs/$sha" 2>/dev/null || echo 0)"
    echo "$record"
  done
}

have() { # SHA PART: how much of it is there
  if [ -e "$blobs/$1" ]; then echo whole; else stat -c %s "$blobs/.part-$2" 2>/dev/null || echo 0; fi
}

receive() { # PART: gzip members from stdin go on where the part ends
  part=$blobs/.part-$1
  exec 9>>"$part"
  flock -n 9 || die busy "somebody else is sending it"
  gzip -dc >&9
}

keep() { # PART SHA KEY RECORD: what was received becomes an image, if it is what it should be. SHA "-": whatever it is.
  part=$blobs/.part-$1
  if [ "$2" != - ] && [ -e "$blobs/$2" ]; then
    sha=$2
    rm -f "$part"
  else
    [ -e "$part" ] || die content "nothing was received"
    read -r sha _ <<END
$(sha256sum "$part")
END
    if [ "$2" != - ] && [ "$sha" != "$2" ]; then
      rm -f "$part"
      die content "its SHA-256 is $sha instead of $2"
    fi
    judge "$part"
    fallocate --dig-holes "$part" 2>/dev/null
    chmod 400 "$part"
    mv "$part" "$blobs/$sha" || exit
  fi
  judge "$blobs/$sha"
  name=$names/$3
  printf '%s %s\n%s\n' "$sha" "$format" "$4" >"$name.$$" && mv "$name.$$" "$name" || exit
  drop_unnamed
  echo "$sha $format $(stat -c %s "$blobs/$sha")"
}

judge() { # FILE: sets $format. A disk that refers to other files of the node could show what is in them.
  case $(head -c 4 "$1" | od -An -tx1) in
  *"51 46 49 fb"*)
    format=qcow2
    case $(qemu-img info -f qcow2 --output=json "$1") in
    *'"backing-filename"'* | *'"data-file"'*) rm -f "$1"; die content "it refers to another file" ;;
    '') rm -f "$1"; die content "it is a broken qcow2 image" ;;
    esac
    ;;
  *"4b 44 4d 56"* | *"3c 3c 3c 20"*) rm -f "$1"; die content "it is neither qcow2 nor raw: convert it by qemu-img" ;;
  *) format=raw ;;
  esac
}

# Fetches an address: KEY ADDRESS SHA RECORD once|again. Says "done BYTES TOTAL" as it goes, and ends as `keep` does.
fetch() {
  part=$blobs/.part-$1
  exec 9>>"$part"
  flock 9 # whoever waited for another finds that it is there
  if [ "$5" = once ] && [ -e "$names/$1" ]; then
    keep "$1" "$(head -n 1 "$names/$1" | cut -d' ' -f1)" "$1" "$4"
    return
  fi
  if command -v curl >/dev/null; then
    curl -fsSL -C - --retry 3 -D "$part.head" -o "$part" "$2" 9>&- &
  elif command -v wget >/dev/null; then
    wget -q -c -O "$part" "$2" 9>&- &
  else
    die missing "curl, nor wget"
  fi
  fetching=$!
  report 9>&- &
  reporting=$!
  trap 'kill $fetching $reporting 2>/dev/null; exit 129' HUP TERM INT PIPE
  wait "$fetching"
  status=$?
  kill "$reporting" 2>/dev/null
  progress
  rm -f "$part.head"
  [ "$status" = 0 ] || die image "it can't be fetched from $2"
  [ -s "$part" ] || die image "there is nothing at $2"
  keep "$1" "$3" "$1" "$4"
}

report() {
  while sleep 1; do progress; done
}

progress() {
  total=$(sed -n 's/^[Cc]ontent-[Ll]ength: *\([0-9]*\).*/\1/p' "$part.head" 2>/dev/null | tail -n 1)
  echo "done $(stat -c %s "$part") ${total:-0}"
}

in_use() { # BLOB
  for link in "$vms"/*/base "$vms"/*/kernel "$vms"/*/initrd; do
    [ -e "$link" ] && [ "$link" -ef "$1" ] && return 0
  done
  return 1
}

remove() { # KEY
  [ -e "$names/$1" ] || return 0
  read -r sha _ <"$names/$1"
  for other in "$names"/*; do
    [ "$other" = "$names/$1" ] || ! grep -q "^$sha " "$other" || { rm -f "$names/$1"; return; }
  done
  if in_use "$blobs/$sha"; then die used "$sha"; fi
  rm -f "$names/$1" "$blobs/$sha"
}

drop_unnamed() { # content whose name has come to mean another
  for blob in "$blobs"/*; do
    [ -e "$blob" ] || continue
    grep -qs "^${blob##*/} " "$names"/* || in_use "$blob" || rm -f "$blob"
  done
}

"$verb" "$@"
