# Tells who logs in here, and what the sshd that let us in has in its configuration, its includes in place.
# `mark` is set before this: it tells our lines from those of a noisy login.
LC_ALL=C
export LC_ALL

show_config() (
    [ "$2" -lt 16 ] && [ -f "$1" ] && [ -r "$1" ] || exit 0
    while read -r word rest || [ -n "$word" ]; do
        case $word in
        [Ii][Nn][Cc][Ll][Uu][Dd][Ee])
            # unquoted: wildcards are expanded, from /etc/ssh, as sshd does it
            for file in $rest; do show_config "$file" $(($2 + 1)); done ;;
        *) printf '%s %s\n' "$word" "$rest" ;;
        esac
    done < "$1"
)

# sshd may have been started with a file of its own: the listener, from which this process descends, shows it
config=sshd_config pid=$PPID
while [ "${pid:-0}" -gt 1 ] && [ -r "/proc/$pid/stat" ]; do
    words=$(tr '\0' ' ' < "/proc/$pid/cmdline")
    case $words in
    *sshd*" -f"*)
        config=${words#* -f} config=${config# } config=${config%% *}
        break ;;
    esac
    pid=$(sed 's/.*) [A-Za-z] \([0-9]*\).*/\1/' "/proc/$pid/stat")
done

printf '\n%s account\n' "$mark"
id -un; id -u; id -Gn
printf '%s\n%s\n' "$HOME" "${SSH_CONNECTION:-}"
cd /etc/ssh 2>/dev/null || cd /
show_config "$config" 0
printf '%s end\n' "$mark"
