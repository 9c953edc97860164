"""Putting a public key into the login user's authorized_keys: once, leaving everything else as it is."""

import asyncssh

from vendetta.errors import CommandFailed, InvalidInput

from .connection import Connection

# The key comes through stdin, never through the command. What is written is written beside the file and renamed, so
# that a failure leaves the file as it was; `cp -p` hands on its mode and, for root, its owner. A link stays a link.
INSTALL = r"""
set -eu
umask 077
IFS= read -r key
folder=${HOME:?}/.ssh
file=$folder/authorized_keys
mkdir -p "$folder"
if [ -L "$file" ]; then file=$(readlink -f "$file"); fi
[ -e "$file" ] || : > "$file"
blob=$(printf "%s\n" "$key" | awk "{ print \$2 }")
there="!/^[[:space:]]*#/ { for (i = 1; i <= NF; i++) if (\$i == blob) found = 1 } END { exit !found }"
if awk -v blob="$blob" "$there" "$file"; then exit 0; fi
new=$(mktemp "$file.XXXXXX")
trap "rm -f \"\$new\"" EXIT
cp -p "$file" "$new"
if [ -n "$(tail -c 1 "$new")" ]; then echo >> "$new"; fi
printf "%s\n" "$key" >> "$new"
mv -f "$new" "$file"
"""


async def install(connection: Connection, public_key: str) -> None:
    """There already: nothing changes. Raises `InvalidInput` for what is no public key, `CommandFailed`."""
    line = parse_public_key(public_key)
    result = await connection.run(["sh", "-c", INSTALL], input=line.encode() + b"\n")
    if result.exit_status:
        stderr = result.stderr.decode(errors="replace").strip()
        raise CommandFailed(
            f"install the key on node {connection.node} for {connection.user}",
            hint=f"The node says: {stderr[-300:]}",
            argv=["sh"],
            exit_status=result.exit_status,
            stderr=stderr[-2000:],
        )


def parse_public_key(text: str) -> str:
    """One line of type, key and comment; nothing else of the text can reach the file."""
    if len(text.strip().splitlines()) != 1:
        raise InvalidInput("a public key is one line", hint="It begins with its type, as in: ssh-ed25519 AAAA…")
    try:
        key = asyncssh.import_public_key(text.strip())
    except (asyncssh.KeyImportError, ValueError) as exc:
        raise InvalidInput(
            f"this is not a public key: {exc}", hint="It begins with its type, as in: ssh-ed25519 AAAA…"
        ) from exc
    line = key.export_public_key().decode(errors="replace").strip()
    if not line.isprintable():
        raise InvalidInput("the comment of the public key holds characters that no line can hold")
    return line
