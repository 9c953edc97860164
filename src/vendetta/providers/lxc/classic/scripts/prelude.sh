# Before each of the scripts here, which run as root on the node. The first arguments are the mark of what is ours (how
# a line of vendetta.json begins), and the engine's name of an instance, where it is about one.
# We have become root: see host.py.
echo vendetta-begins
export LC_ALL=C PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin"
umask 022
cd /
# The exit statuses, as host.py knows them.
absent=66 wrong=65 no_image=67 no_bridge=68 no_address=69 taken=70 no_snapshot=71 no_source=72

lxcpath=/var/lib/lxc
if [ -r /etc/lxc/lxc.conf ]; then
  while read -r key _ value; do [ "$key" = lxc.lxcpath ] && lxcpath=$value; done </etc/lxc/lxc.conf
fi
# Of our own: its name keeps it out of lxc-ls.
home=$lxcpath/.vendetta
ours=$1 name=$2; shift 2
dir=$lxcpath/$name

# Reads the mark of the folder $1 into $mark.
is_ours() {
  IFS= read -r mark 2>/dev/null <"$1/vendetta.json" || return 1
  case $mark in "$ours"*) ;; *) return 1 ;; esac
}

require_ours() { is_ours "$dir" || exit $absent; }

state() { lxc-info --name "$name" --state --no-humanize; }

# Only one at a time makes or takes away; the lock ends with the script.
lock() { mkdir -p "$home" && exec 9>"$home/lock" && flock 9; }

require_running() { # of what is ours
  require_ours
  state=$(state)
  [ "$state" = RUNNING ] || { echo "$state"; exit $wrong; }
}

require_stopped() {
  require_ours
  state=$(state)
  [ "$state" = STOPPED ] || { echo "$state"; exit $wrong; }
}

# One line: state, address or -, whether it was ever started, mark. $1 is the state.
show() {
  address=- started=no
  [ -e "$dir/console.log" ] && started=yes
  case $1 in RUNNING | FROZEN)
    if [ -e "$dir/address" ]; then
      read -r address <"$dir/address"
    else
      for each in $(lxc-info --name "$name" --ips --no-humanize); do
        case $each in *:*) ;; *) address=$each; break ;; esac
      done
    fi ;;
  esac
  echo "$1 $address $started $mark"
}

# Takes a folder away in one moment, and its content afterwards.
discard() {
  mkdir -p "$home/gone"
  gone=$home/gone/${1##*/}.$$
  mv "$1" "$gone" && rm -rf "$gone"
}
