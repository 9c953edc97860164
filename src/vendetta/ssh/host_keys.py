"""Who the nodes are: the host keys that were accepted, and those of the user's own known_hosts.

Ours are kept in OpenSSH's known_hosts format (sshd(8)), under the node's name: what OpenSSH calls HostKeyAlias.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from vendetta.errors import InvalidInput
from vendetta.models import HostKey

Matches = tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]
"""Host keys, CA keys, revoked keys: what asyncssh takes."""


class HostKeys:
    def __init__(self, pins_file: Path, known_hosts: Sequence[Path] = ()) -> None:
        self._pins_file = pins_file
        self._known_hosts = tuple(known_hosts)

    def known(self, alias: str, host: str, port: int) -> Matches:
        """All that is known of a host: what we pinned for it, or else what the user's own files say."""
        pinned = self._match(self._pins_file, alias, 22)
        found: Matches = ([], [], [])
        for path in self._known_hosts:
            for kind, keys in zip(found, self._match(path, host, port), strict=True):
                kind.extend(keys)
        # a pin was made on purpose, so that it stands for the host keys of the user's files; revoked stays revoked
        return (pinned[0] or found[0], found[1], found[2])

    def pinned(self, alias: str) -> HostKey | None:
        keys = self._match(self._pins_file, alias, 22)[0]
        return describe(keys[0]) if keys else None

    def pin(self, alias: str, key: asyncssh.SSHKey) -> None:
        """From now on this is the host's key, and no other."""
        line = f"{alias} {key.export_public_key().decode().strip()}"
        self._write([*self._others(alias), line])

    def forget(self, alias: str) -> None:
        if self.pinned(alias):
            self._write(self._others(alias))

    def _others(self, alias: str) -> list[str]:
        try:
            lines = self._pins_file.read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line for line in lines if line.split(" ", 1)[0] != alias]

    def _write(self, lines: Sequence[str]) -> None:
        """Whole or not at all: it is renamed into place."""
        self._pins_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._pins_file.parent, prefix=".known_hosts-")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.writelines(f"{line}\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._pins_file)
        except BaseException:
            os.unlink(name)
            raise

    def _match(self, path: Path, host: str, port: int) -> Matches:
        try:
            text = path.read_text(errors="replace")
        except OSError:
            return ([], [], [])
        try:
            found = asyncssh.match_known_hosts(text.encode(), host, "", port)
        except (asyncssh.KeyImportError, ValueError) as exc:
            raise InvalidInput(f"can't read {path}: {exc}", hint="Mend or remove that line.") from exc
        return (list(found[0]), list(found[1]), list(found[2]))


def describe(key: asyncssh.SSHKey) -> HostKey:
    return HostKey(type=key.get_algorithm(), fingerprint=key.get_fingerprint())
