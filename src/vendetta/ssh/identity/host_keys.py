"""Keep what identifies nodes: the host keys that were accepted, and those of the user's own known_hosts.

Ours, the pins, are kept in OpenSSH's known_hosts format (sshd(8)), a node's under its name: what OpenSSH calls
HostKeyAlias. The user's files are only read, and matched by asyncssh: hashed names, ports, wildcards, markers.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from vendetta.errors import InvalidInput
from vendetta.models import HostKey
from vendetta.ssh.algorithms import is_modern
from vendetta.ssh.endpoint import SSH_PORT
from vendetta.ssh.files import Version, version, write_private
from vendetta.ssh.public_keys import UNREADABLE, read_public_key

_NAMES = re.compile(r"\A((?:@\S+\s+)?)([^|@\s]\S*)")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one host.

    `keys` are the host's own. `fallback` are those of the same name without a port: they may vouch for a host on
    another port, as with OpenSSH, but that it has others means nothing.
    """

    keys: list[asyncssh.SSHKey] = field(default_factory=list)
    fallback: list[asyncssh.SSHKey] = field(default_factory=list)
    authorities: list[asyncssh.SSHKey] = field(default_factory=list)
    revoked: list[asyncssh.SSHKey] = field(default_factory=list)
    pinned: bool = False


class HostKeys:
    """Know, pin and forget host keys. Whether a login goes on is decided in `login/client`."""

    def __init__(self, pins_file: Path, known_hosts: Sequence[Path] = ()) -> None:
        self._pins_file = pins_file
        self._known_hosts = tuple(known_hosts)
        self._parsed: dict[Path, tuple[Version, asyncssh.SSHKnownHosts]] = {}
        self._listener: Callable[[str, str | None], None] = lambda pinned_as, lines: None

    def known(self, pinned_as: str, host: str, port: int) -> Known:
        """Return what is known of a host.

        `pinned_as` is its name among our pins, `host` and `port` are those of the user's files. A pin was made on
        purpose, so it replaces all that the user's files trust; what they revoke stays revoked. Raises `InvalidInput`
        if our own file can't be read.
        """
        host = host.lower()
        pins = self._pins(pinned_as)
        known = Known(keys=pins, pinned=bool(pins))
        for path in self._known_hosts:
            try:
                parsed = self._parse(path, parse_known_hosts)
            except OSError:
                continue  # absent, or not for this user: as ssh does
            exact = host if port == SSH_PORT else f"[{host}]:{port}"
            for name in dict.fromkeys((exact, host)):
                keys, authorities, revoked = parsed.match(name, "", None)[:3]
                known.revoked.extend(revoked)
                if not known.pinned:
                    known.authorities.extend(authorities)
                    (known.keys if name == exact else known.fallback).extend(keys)
        return known

    def pinned(self, pinned_as: str) -> HostKey | None:
        """Return the first key that is pinned under this name, None if there is none. Raises `InvalidInput`."""
        keys = self._pins(pinned_as)
        return describe(keys[0]) if keys else None

    def pin(self, pinned_as: str, key: asyncssh.SSHKey) -> None:
        """Make this the host's key, in place of all others."""
        self._replace(pinned_as, [key])

    def learn(
        self,
        pinned_as: str,
        shown: asyncssh.SSHKey,
        added: Collection[asyncssh.SSHKey],
        removed: Collection[asyncssh.SSHKey],
    ) -> None:
        """Change the host's pins by what it says of its keys. `shown`, by which it was verified, stays in any case.

        Raises `InvalidInput`, `OSError`.
        """
        if not added and not removed:
            return
        pins, gone = self._pins(pinned_as), set(removed)
        if shown not in pins:
            return  # forgotten, or replaced, while the connection stood
        kept = [key for key in pins if key == shown or key not in gone]
        keys = list(dict.fromkeys([*kept, *(key for key in added if is_modern(key))]))
        if keys != pins:
            self._replace(pinned_as, keys)

    def forget(self, pinned_as: str) -> None:
        """Remove the pins of this name. None there is no error."""
        lines = self._others(pinned_as)
        if lines != self._lines():
            self._write(lines)
            self._listener(pinned_as, None)

    def on_change(self, listener: Callable[[str, str | None], None]) -> None:
        """Call `listener` after each change of pins, with the name and its lines (None: no pin is left)."""
        self._listener = listener

    def pins(self) -> Mapping[str, str]:
        """Return the lines that are pinned, by name."""
        found: dict[str, list[str]] = {}
        for line in self._lines():
            name, separator, _ = line.partition(" ")
            if separator and name[0] not in "#@":
                found.setdefault(name, []).append(line)
        return {name: "\n".join(lines) for name, lines in found.items()}

    def adopt(self, pins: Mapping[str, str | None]) -> bool:
        """Write what another replica has pinned, in the form of `on_change`. Returns whether that changes anything."""
        before = self._lines()
        kept = [line for line in before if line.split(" ", 1)[0] not in pins]
        lines = [*kept, *(line for text in pins.values() if text for line in text.split("\n"))]
        if sorted(lines) == sorted(before):
            return False
        self._write(lines)
        return True

    def _pins(self, pinned_as: str) -> list[asyncssh.SSHKey]:
        try:
            pins = self._parse(self._pins_file, lambda data: parse_pins(data, str(self._pins_file)))
            return list(dict.fromkeys(pins.match(pinned_as, "", None)[0]))
        except FileNotFoundError:
            return []
        except OSError as exc:
            # to go on as if nothing had been pinned would accept anybody
            raise InvalidInput(f"can't read {self._pins_file}: {exc.strerror}", hint="Mend its permissions.") from exc

    def _lines(self) -> list[str]:
        try:
            text = self._pins_file.read_bytes().decode(errors="surrogateescape")
        except FileNotFoundError:
            return []
        return text.removesuffix("\n").split("\n") if text else []

    def _others(self, pinned_as: str) -> list[str]:
        return [line for line in self._lines() if line.split(" ", 1)[0] != pinned_as]

    def _replace(self, pinned_as: str, keys: Iterable[asyncssh.SSHKey]) -> None:
        lines = [f"{pinned_as} {key.export_public_key().decode().strip()}" for key in keys]
        self._write([*self._others(pinned_as), *lines])
        self._listener(pinned_as, "\n".join(lines))

    def _write(self, lines: Sequence[str]) -> None:
        write_private(self._pins_file, "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))

    def _parse(self, path: Path, parse: Callable[[bytes], asyncssh.SSHKnownHosts]) -> asyncssh.SSHKnownHosts:
        """Parse the file again only if it has changed: these files grow to thousands of lines."""
        # before it is read: what is written meanwhile is read the next time
        now = version(path)
        if now is None or path not in self._parsed or self._parsed[path][0] != now:
            self._parsed[path] = now, parse(path.read_bytes())
        return self._parsed[path][1]


def parse_known_hosts(data: bytes) -> asyncssh.SSHKnownHosts:
    """Parse a known_hosts file as ssh does: a line that can't be read must not take the others' protection away."""
    parsed = asyncssh.SSHKnownHosts()
    for _, line in _entries(data):
        try:
            # the names' case says nothing; that of a hash does
            parsed.load(_NAMES.sub(lambda found: found[1] + found[2].lower(), line))
        except UNREADABLE:
            continue
    return parsed


def parse_pins(data: bytes, source: str) -> asyncssh.SSHKnownHosts:
    """Parse our own pins. Raises `InvalidInput` with the first line that can't be read.

    To pass it over would make its node count as never seen.
    """
    parsed = asyncssh.SSHKnownHosts()
    for number, line in _entries(data):
        fields = line.split()
        key = fields[2:] if line.startswith("@") else fields[1:]
        try:
            read_public_key(" ".join(key[:2]))
            parsed.load(line)
        except ValueError as exc:
            hint = "Remove that line, and accept the node's host key anew: vendetta node trust NAME"
            raise InvalidInput(f"{source}, line {number}: that is no host key", hint=hint) from exc
    return parsed


def _entries(data: bytes) -> list[tuple[int, str]]:
    """Return the lines that are neither empty nor comments, with their numbers."""
    texts = (raw.decode(errors="replace").strip() for raw in data.split(b"\n"))
    # what str takes for an end of line may stand in a comment; a key is never after one
    return [(number, text.splitlines()[0]) for number, text in enumerate(texts, 1) if text and text[0] != "#"]


def describe(key: asyncssh.SSHKey) -> HostKey:
    """Return type and fingerprint of a key."""
    return HostKey(type=key.get_algorithm(), fingerprint=key.get_fingerprint())


def count_bits(key: asyncssh.SSHKey) -> int | None:
    """Return the size of a key in bits as ssh-keygen counts them; None if it isn't known."""
    return 256 if key.get_algorithm() == "ssh-ed25519" else getattr(key.pyca_key, "key_size", None)
