# Argument: the command that unpacks an archive in an instance. Ends those of them in this one whose link is gone, and
# waits until they are: what they had been sent by then they would write over what comes now. One that is on its way
# into the container has the command in its own line of arguments, as has what started it.
is_ours "$dir" || exit 0

find_link() { # of the SSH session that the process $1 belongs to, into $link: client, its port, our address, our port
  pid=$1 link=
  while [ -z "$link" ] && [ "${pid:-0}" -gt 1 ]; do
    link=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | sed -n 's/^SSH_CONNECTION=//p')
    pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null)
  done
}
stands() { # not one whose end has come, though its sshd hasn't read that far
  [ $# = 4 ] || return 1
  grep -qsE ":$(printf %04X "$4") [0-9A-F]+:$(printf %04X "$2") 01 " /proc/net/tcp /proc/net/tcp6
}
end() { # children first: without lxc-attach what it runs is nobody's
  for child in $(cat "/proc/$1"/task/*/children 2>/dev/null); do end "$child"; done
  kill -s KILL "$1" 2>/dev/null
}

find_link $$
stands $link || exit 0 # nothing can be told here
tries=100
while [ $tries -gt 0 ]; do
  ending=
  for file in $(grep -lszF -e "$1" /proc/[0-9]*/cmdline); do
    grep -qszF -e "$name" "$file" || continue
    each=${file#/proc/} each=${each%/cmdline}
    find_link "$each"
    stands $link && continue
    ending=yes
    end "$each"
  done
  [ -n "$ending" ] || exit 0
  sleep 0.05
  tries=$((tries - 1))
done
exit 0
