# Arguments: the word that the first line on standard error begins with, the user or nothing, and what follows
# lxc-attach's own options: variables and the command. That line is for exec's caller: see process.py. Nothing is written
# to standard output between prelude.sh's greeting and the command.
word=$1 user=$2; shift 2
say() { echo "$word $*" >&2; }
is_ours "$dir" || { say absent; exit; }
state=$(state)
[ "$state" = RUNNING ] || { say wrong "$state"; exit; }

# Who that is in there, and where at home: "uid gid home".
find='while IFS=: read -r name _ uid gid _ home _; do
  if [ "$name" = "$1" ] || [ "$uid" = "$1" ]; then echo "$uid $gid $home"; exit; fi
done </etc/passwd'
if [ -n "$user" ]; then
  group=${user#*:} user=${user%%:*}
  found=$(lxc-attach --name "$name" --clear-env -- /bin/sh -c "$find" sh "$user" </dev/null 2>/dev/null)
  if [ -z "$found" ]; then
    case $user in *[!0-9]*) say nobody; exit ;; esac
    found="$user 0 /"
  fi
  uid=${found%% *} found=${found#* }
  gid=${found%% *} home=${found#* }
  case $group in "$user" | *[!0-9]*) ;; *) gid=$group ;; esac
  set -- --uid "$uid" --gid "$gid" --set-var "HOME=$home" "$@"
fi
say run $$
exec lxc-attach --name "$name" --clear-env "$@"
