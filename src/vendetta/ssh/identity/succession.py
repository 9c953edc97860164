"""Replace one key of the server's own by another, on disk: `id_TYPE.next` beside the old one, then in its place.

Both are offered to every node meanwhile (`Keys`), so that at any moment each node lets one of them in.
"""

import asyncio
import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from vendetta.errors import Conflict, InvalidInput
from vendetta.models import Key
from vendetta.ssh.files import write_private

from .keys import GENERATED, NEXT, write_new_key
from .private_keys import describe_file

DEFAULT_TYPE = "ed25519"


class Succession:
    """Replace the server's own key on disk in steps that may be interrupted."""

    def __init__(self, keys_dir: Path) -> None:
        self._keys_dir = keys_dir

    async def begin(self, type: str | None = None) -> Key:
        """Return the key to come: the one that is on its way already, or a new one.

        Raises `InvalidInput`, `Conflict`.
        """
        if type is not None and type not in GENERATED:
            raise InvalidInput(f'"{type}" is no type of key', hint=f"Types: {', '.join(GENERATED)}.")
        for kind in GENERATED:
            if (path := self._next(kind)).exists():
                if type not in (None, kind):
                    raise Conflict(
                        f"a new key of type {kind} is already on its way to the nodes",
                        hint="Finish that first: vendetta key rotate",
                    )
                return describe_file(path)
        kind = type or DEFAULT_TYPE
        return await asyncio.to_thread(write_new_key, self._next(kind), kind)

    def retired(self) -> list[Key]:
        """Return the server's own keys that are to go: all except the one to come."""
        paths = [self._current(kind) for kind in GENERATED]
        return [describe_file(path) for path in paths if path.is_file()]

    def here(self, key: Key) -> Key:
        """Return a key of the server's own with its path here: another replica may have its keys in another folder."""
        return replace(key, path=str(self._keys_dir / Path(str(key.path)).name))

    def complete(self, key: Key, retired: Sequence[Key], keep: Collection[Path] = ()) -> Key:
        """Put the key to come into its place, and remove the retired ones, except the files to `keep`.

        May be interrupted anywhere and run again: there is a usable new key at any moment. Raises `Conflict` if another
        key has taken the place.
        """
        kind = Path(str(key.path)).name.removeprefix("id_").removesuffix(NEXT)
        current, coming = self._current(kind), self._next(kind)
        if coming.exists():
            # those of the old key: beside another one, even for a moment, they would spoil it
            for file in (_certificate(current), _public(current)):
                file.unlink(missing_ok=True)
            os.replace(coming, current)
        promoted = describe_file(current)
        if promoted.fingerprint != key.fingerprint:
            raise Conflict(f"somebody put another key into {current} meanwhile", hint="See: vendetta key list")
        write_private(_public(current), f"{promoted.public_key}\n".encode(), mode=0o644)
        _public(coming).unlink(missing_ok=True)
        kept = [file.expanduser() for file in keep]
        for old in retired:
            path = Path(str(old.path))
            if path.is_file() and path not in kept and describe_file(path).fingerprint == old.fingerprint:
                for file in (_certificate(path), path, _public(path)):
                    file.unlink(missing_ok=True)
        return promoted

    def _current(self, kind: str) -> Path:
        return self._keys_dir / f"id_{kind}"

    def _next(self, kind: str) -> Path:
        return self._keys_dir / f"id_{kind}{NEXT}"


def _public(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


def _certificate(path: Path) -> Path:
    return path.with_name(f"{path.name}-cert.pub")
