# Writes a line "MARK file BYTES" and the file, or "MARK folder" and a tar archive of what is in it; before the mark
# startup files of the login may have written something. Arguments: mark, source.
LC_ALL=C; export LC_ALL
if [ -d "$2" ]; then
  cd -- "$2" && echo "$1 folder" && exec tar -cf - .
  exit 1
fi
exec <"$2" || exit
size=$(wc -c <"$2") && echo "$1 file $((size))" && exec cat
