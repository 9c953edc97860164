# Changes one file as a transaction: shows it, takes its new content, and holds that until it is told to keep it.
# Without that word, because of an error, a lost link or a signal, everything is as before, and nothing is left lying.
# Set before this: mark (tells our lines from those of a noisy login), file, make (1: make what is absent), patience.
LC_ALL=C
export LC_ALL
umask 077
work='' written='' kept='' held='' watchdog='' beside=1 present='' old_sum='' new_sum=''

say() { printf '%s %s\n' "$mark" "$*"; }

fail() {
    say failed "$1"
    exit 1
}

sum() { cksum 2>/dev/null < "$1"; }

finish() {
    trap '' HUP INT TERM PIPE
    trap - EXIT
    if [ -n "$written" ] && [ -z "$kept" ]; then restore; fi
    [ -z "$work" ] || rm -rf "$work"
    [ -z "$held" ] || rmdir "$held"
    if [ -z "$kept" ]; then
        made=$folder
        while [ "$made" != "$base" ] && rmdir "$made" 2>/dev/null; do made=${made%/*} made=${made:-/}; done
    fi
    [ -z "$watchdog" ] || kill "$watchdog" 2>/dev/null
    say "${kept:-undone}" 2>/dev/null
}

restore() {
    now=$(sum "$file")
    if [ "$written" = partly ]; then
        cat "$work/seen" > "$file"
    elif [ "$now" = "$old_sum" ]; then
        return
    elif [ "$now" != "$new_sum" ]; then
        kept=mixed # somebody else has changed it since, which isn't ours to undo
    elif [ -z "$present" ]; then
        rm -f "$file"
    elif [ -z "$beside" ]; then
        cat "$work/seen" > "$file"
    else
        mv -f "$work/old" "$file"
    fi
}

# To the file itself, so that a link stays one. By hand: not every `readlink -f` knows a file that isn't there yet.
follow() {
    links=0
    while [ -L "$file" ] && [ "$links" -lt 16 ]; do
        target=$(readlink "$file")
        case $target in
        /*) file=$target ;;
        *) file=${file%/*}/$target ;;
        esac
        links=$((links + 1))
    done
}

# One at a time: flock, which the kernel gives back in any case; a folder as the lock where there is none.
lock() {
    deadline=$(($(date +%s) + patience))
    while :; do
        if [ -n "$make" ]; then mkdir -p "$folder" || fail folder; fi
        taken=2
        if command -v flock >/dev/null 2>&1 && [ -r "$folder" ]; then
            exec 9< "$folder"
            flock -n 9
            taken=$?
        fi
        if [ "$taken" -gt 1 ]; then
            [ -w "$folder" ] || fail folder
            if mkdir "$file.lock" 2>/dev/null; then held=$file.lock taken=0; else taken=1; fi
            # whoever made it is long gone: no one may hold it for so long
            [ -z "$(find "$file.lock" -prune -mmin +5 2>/dev/null)" ] || rmdir "$file.lock"
        fi
        [ "$taken" -ne 0 ] || [ ! -d "$folder" ] || return 0
        [ "$(date +%s)" -lt "$deadline" ] || fail busy
        sleep 0.1 2>/dev/null || sleep 1
    done
}

# A link that is dead without a word keeps nobody else waiting for ever.
watch() {
    main=$$
    (
        trap 'kill "$nap"; exit 0' TERM
        sleep "$1" &
        nap=$!
        wait "$nap"
        kill -TERM "$main"
    ) 9<&- > /dev/null 2>&1 < /dev/null &
    watchdog=$!
}

show() {
    if [ -e "$file" ]; then
        present=1
        [ -f "$file" ] && cp "$file" "$work/seen" || fail read
        old_sum=$(sum "$work/seen")
    else
        : > "$work/seen" || fail write
    fi
    say content $(wc -c < "$work/seen")
    cat "$work/seen"
}

attributes() { ls -ldn "$1" | { read -r mode _ user group _ && echo "$mode $user $group"; }; }

# Beside the file and then in its place, which happens as a whole or not at all. Where that would change its owner or
# isn't allowed, into it.
write() {
    mode=''
    if [ -n "$present" ]; then
        ln "$file" "$work/old" 2>/dev/null || cp -p "$file" "$work/old" || fail write
        cp -p "$file" "$work/new" || fail write
        [ "$(attributes "$file")" = "$(attributes "$work/new")" ] || beside=''
        [ -n "$beside" ] || true >> "$file" || fail write
        if [ ! -w "$work/new" ]; then mode=u-w; chmod u+w "$work/new"; fi
    fi
    head -c "$1" > "$work/new" && [ "$(wc -c < "$work/new")" -eq "$1" ] || fail write
    [ -z "$mode" ] || chmod "$mode" "$work/new"
    new_sum=$(sum "$work/new")
    [ "$(sum "$file")" = "$old_sum" ] || fail changed
    written=1
    if [ -n "$beside" ]; then
        mv -f "$work/new" "$file" || fail write
    else
        written=partly
        cat "$work/new" > "$file" || fail write
        written=1
    fi
}

# A function, so that the shell has read all of this before it reads what we answer: both come by the same way.
main() {
    follow
    folder=${file%/*} folder=${folder:-/}
    base=$folder
    while [ ! -d "$base" ]; do base=${base%/*} base=${base:-/}; done
    trap 'exit 1' HUP INT TERM PIPE
    trap finish EXIT
    printf '\n'
    [ -n "$make" ] || [ -e "$file" ] || fail absent
    lock
    watch 180
    if [ -w "$folder" ]; then
        work=$(mktemp -d "$folder/.vendetta.XXXXXX") || fail folder
    else
        # tried for the sake of its words
        [ -e "$file" ] || { mktemp -d "$folder/.vendetta.XXXXXX"; fail folder; }
        beside='' work=$(mktemp -d) || fail folder
    fi
    show
    IFS=' ' read -r word size && [ "$word" = write ] || exit 0
    write "$size"
    say written
    IFS= read -r word && [ "$word" = keep ] && kept=kept
    exit 0
}

main
