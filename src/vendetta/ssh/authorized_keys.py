"""Putting a public key into the login user's authorized_keys: once, leaving everything else as it is."""

import asyncssh

from vendetta.errors import CommandFailed, InvalidInput

from .connection import Connection

# The key comes through stdin, never through the command. What is written is written beside the file and renamed, so
# that a failure leaves the file as it was; `cat` into a copy made by `cp -p` keeps its mode and owner.
INSTALL = r"""
set -eu
umask 077
IFS= read -r key
folder=${HOME:?}/.ssh
file=$folder/authorized_keys
mkdir -p "$folder"
[ -e "$file" ] || : > "$file"
blob=$(printf '%s\n' "$key" | awk '{ print $2 }')
there='!/^[[:space:]]*#/ { for (i = 1; i <= NF; i++) if ($i == blob) found = 1 } END { exit !found }'
if awk -v blob="$blob" "$there" "$file"; then exit 0; fi
new=$(mktemp "$folder/.authorized_keys.XXXXXX")
trap 'rm -f "$new"' EXIT
cp -p "$file" "$new"
awk '{ print }' "$file" > "$new"
printf '%s\n' "$key" >> "$new"
mv -f "$new" "$file"
trap - EXIT
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
    try:
        key = asyncssh.import_public_key(text.strip())
    except asyncssh.KeyImportError as exc:
        raise InvalidInput(
            f"this is not a public key: {exc}", hint="It begins with its type, as in: ssh-ed25519 AAAA…"
        ) from exc
    line = key.export_public_key().decode().strip()
    if not line.isprintable():
        raise InvalidInput("the comment of the public key holds characters that no line can hold")
    return line
