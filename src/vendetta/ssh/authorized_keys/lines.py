"""Read an authorized_keys file and change it: a line more, or the lines of a key fewer.

Pure: bytes to bytes. Whatever we don't change stays as it is to the byte, also what is no key at all.
"""

import ipaddress
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from vendetta.errors import InvalidInput
from vendetta.ssh.public_keys import read_public_key

KEPT_OF_RESTRICT = "restrict,port-forwarding,pty"
"""`restrict` takes everything away; what Vendetta needs is given back: sockets, ports, and terminals for shells."""
MOST_BYTES = 2**20
_TYPE = re.compile(rb"(?:ssh|ecdsa|sk-ssh|sk-ecdsa|webauthn)-[A-Za-z0-9@.-]+")
_PATTERN = re.compile(r"!?[A-Za-z0-9.:*?_-]+")
_QUOTED = re.compile(rb'"(?:\\"|[^"])*"')
_AUTHORITY = re.compile(rb"(?:^|,)cert-authority(?:$|,)", re.IGNORECASE)
_FORM = "It begins with its type, as in: ssh-ed25519 AAAA…"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a file. `options` is the text that stands before its type."""

    options: bytes
    type: bytes
    blob: bytes


def parse_public_key(text: str) -> str:
    """Return one line of type, key and comment: nothing else of the text can reach the file. Raises `InvalidInput`."""
    if len(text.strip().splitlines()) != 1:
        raise InvalidInput("a public key is one line", hint=_FORM)
    try:
        key = read_public_key(text.strip().encode())
    except ValueError as exc:
        raise InvalidInput(f"this is not a public key: {exc}", hint=_FORM) from exc
    line = key.export_public_key().decode(errors="replace").strip()
    if not line.isprintable():
        raise InvalidInput("the comment of the public key holds characters that no line can hold")
    return line


def build_options(*, restrict: bool, sources: Sequence[str]) -> str:
    """Build the options of a line; empty for none.

    Raises `InvalidInput` for a source that sshd would not understand.
    """
    parts = [KEPT_OF_RESTRICT] if restrict else []
    if sources:
        parts.append(f'from="{",".join(_check_source(source.strip()) for source in sources)}"')
    return ",".join(parts)


def parse_entry(line: bytes) -> Entry | None:
    """Read a line as sshd does. Returns None if sshd sees no key in it."""
    rest = line.strip(b" \t\r\n")
    if not rest or rest.startswith(b"#"):
        return None
    options = b""
    if not _TYPE.match(rest):
        end = _end_of_options(rest)
        options, rest = rest[:end], rest[end:].lstrip(b" \t")
    words = rest.split(None, 2)
    if len(words) < 2 or not _TYPE.fullmatch(words[0]):
        return None
    return Entry(options, words[0], words[1])


def find(content: bytes, public_key: str) -> Entry | None:
    """Return the first entry of that key, None if there is none. A line that makes it an authority doesn't count."""
    blob = _blob(public_key)
    return next((entry for _, entry in _entries(content) if entry and entry.blob == blob), None)


def add(content: bytes, public_key: str, options: str | None = None) -> bytes:
    """Return the content with the key in it.

    If the key is there already, the content stays as it is, unless `options` are given: then its line has those.
    """
    blob = _blob(public_key)
    line = f"{options} {public_key}".encode() if options else public_key.encode()
    found = [(text, entry) for text, entry in _entries(content) if entry and entry.blob == blob]
    if not found:
        newline = b"" if not content or content.endswith(b"\n") else b"\n"
        return content + newline + line + b"\n"
    if options is None or (len(found) == 1 and found[0][1].options == options.encode()):
        return content
    # where it stood; another line of the same key would go on letting it in without the options
    kept, placed = [], False
    for text, entry in _entries(content):
        if not (entry and entry.blob == blob):
            kept.append(text)
        elif not placed:
            kept.append(line + b"\n")
            placed = True
    return b"".join(kept)


def remove(content: bytes, public_keys: Collection[str]) -> bytes:
    """Return the content without the lines of these keys."""
    blobs = {_blob(key) for key in public_keys}
    return b"".join(text for text, entry in _entries(content) if not (entry and entry.blob in blobs))


def lines_of(content: bytes, public_keys: Collection[str]) -> list[bytes]:
    """Return the lines that `remove` would take out, without their ends."""
    blobs = {_blob(key) for key in public_keys}
    return [text.rstrip(b"\r\n") for text, entry in _entries(content) if entry and entry.blob in blobs]


def put_back(content: bytes, lines: Sequence[bytes]) -> bytes:
    """Return the content with these lines in it; those that are missing are appended."""
    there = [text.rstrip(b"\r\n") for text in _lines(content)]
    missing = [line + b"\n" for line in lines if line not in there]
    newline = b"\n" if missing and content and not content.endswith(b"\n") else b""
    return content + newline + b"".join(missing)


def _entries(content: bytes) -> Iterator[tuple[bytes, Entry | None]]:
    """Yield every line with its end, and the key in it. A line by which a key signs for others is not that key's."""
    for text in _lines(content):
        entry = parse_entry(text)
        yield text, None if entry and _AUTHORITY.search(_QUOTED.sub(b"", entry.options)) else entry


def _lines(content: bytes) -> Iterator[bytes]:
    """Yield the lines, split at newlines alone as sshd does: a lone carriage return ends no line."""
    lines = content.split(b"\n")
    yield from (line + b"\n" for line in lines[:-1])
    if lines[-1]:
        yield lines[-1]


def _end_of_options(rest: bytes) -> int:
    """Return where the first space outside quotes is; a quote within quotes is written with a backslash."""
    quoted, position = False, 0
    while position < len(rest) and (quoted or rest[position] not in b" \t"):
        if rest[position : position + 2] == b'\\"':
            position += 1
        elif rest[position : position + 1] == b'"':
            quoted = not quoted
        position += 1
    return position


def _blob(public_key: str) -> bytes:
    return public_key.split()[1].encode()


def _check_source(source: str) -> str:
    """Return `source` if it is an address, a network or a name, perhaps with wildcards and `!` before it.

    Raises `InvalidInput` for anything else.
    """
    address, slash, bits = source.removeprefix("!").partition("/")
    if slash:
        try:
            ipaddress.ip_network(f"{address}/{bits}")
        except ValueError as exc:
            try:
                right = str(ipaddress.ip_network(f"{address}/{bits}", strict=False))
            except ValueError:
                raise InvalidInput(f'"{source}" is not a network', hint="As in: 10.0.0.0/8 or fd00::/8") from exc
            raise InvalidInput(f'"{source}" is not a network: sshd refuses it', hint=f"Did you mean {right}?") from exc
    elif not _PATTERN.fullmatch(source):
        raise InvalidInput(f'"{source}" is no address, network or name', hint="As in: 10.0.0.0/8,*.example.org")
    return source
