"""Host keys and own keys, the same at every replica: each works on its files, and the database keeps them in step.

What one replica accepts or makes is written there before the others are notified of the node. They read it when they
start, and where a login is refused, which it may mend. With SQLite nothing of this happens: the files are all there is.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.models import Key
from vendetta.ssh.files import write_private
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.store import Credential, Store, StoreUnavailable
from vendetta.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

REPLACED = "replaced"
"""A folder for own keys that were here and aren't those of the database: a private key is never thrown away."""


class Credentials:
    def __init__(self, store: Store, host_keys: HostKeys, keys: Keys, keys_dir: Path) -> None:
        self._store = store
        self._host_keys = host_keys
        self._keys = keys
        self._keys_dir = keys_dir
        self.version = 0
        """How many times changes of other replicas have changed the files here."""
        self._since: datetime | None = None
        self._known_keys: dict[str, str] = {}
        self._pins: asyncio.Queue[Credential] = asyncio.Queue()
        self._down = asyncio.Event()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if not self._store.shared:
            return self
        files = await asyncio.to_thread(self._read_keys)
        own = [Credential(kind="key", name=name, content=content) for name, content in files.items()]
        pinned = [
            Credential(kind="host_key", name=name, content=lines) for name, lines in self._host_keys.pins().items()
        ]
        if await self._store.credentials.found([*own, *pinned]):
            self._known_keys = files
        else:
            await self._take_over(files, self._host_keys.pins())
        self._host_keys.on_change(self._pinned)
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            await cancel_and_wait(self._task)

    async def settled(self) -> None:
        """Return when every host key that was accepted or forgotten here is written.

        Raises `StoreUnavailable` while that can't be: it is written once the database is back.
        """
        written = asyncio.ensure_future(self._pins.join())
        down = asyncio.ensure_future(self._down.wait())
        try:
            await asyncio.wait([written, down], return_when=asyncio.FIRST_COMPLETED)
            if not written.done():
                raise StoreUnavailable(
                    "the host keys that were accepted here can't be shared with the other servers yet",
                    hint="Try again: it goes on by itself once the database answers.",
                )
        finally:
            await cancel_and_wait(written, down)

    async def pull(self) -> bool:
        """Take over what other replicas have changed. Return whether that changes anything here."""
        if not self._store.shared:
            return False
        await self.settled()
        async with self._lock:
            found, now = await self._store.credentials.changed(self._since)
            keys = {one.name: one.content for one in found if one.kind == "key"}
            changed = await asyncio.to_thread(self._write_keys, keys)
            changed |= self._host_keys.adopt({one.name: one.content for one in found if one.kind == "host_key"})
            self._since = now
            self.version += changed
        return changed

    async def own_key(self) -> Key:
        """Return the key that is put onto nodes, made where there is none: the same whichever replica is asked."""
        await self.pull()
        key = await self._keys.own()
        await self.share_keys()
        # of two that made one at once, one is the server's now
        return await self._keys.own() if self._store.shared else key

    async def share_keys(self) -> None:
        """Write to the database what has changed in the files of the server's own keys, for the other replicas."""
        if not self._store.shared:
            return
        async with self._lock:
            here = await asyncio.to_thread(self._read_keys)
            fresh = {name: here[name] for name in here.keys() - self._known_keys.keys()}
            other: dict[str, str | None] = {
                name: here.get(name) for name in self._known_keys if here.get(name) != self._known_keys[name]
            }
            await self._store.credentials.put(_build_keys(other))
            await self._store.credentials.put(_build_keys(fresh), unless_there=True)
            self._known_keys = here
        await self.pull()

    def _pinned(self, name: str, lines: str | None) -> None:
        self._pins.put_nowait(Credential(kind="host_key", name=name, content=lines))

    async def _work(self) -> None:
        while True:
            pin = await self._pins.get()
            try:
                await retry_while_store_is_down(lambda pin=pin: self._keep(pin))  # type: ignore[misc]
            except Exception:
                # the others are written all the same, and `settled` returns
                log.exception("host key not shared", name=pin.name)
            finally:
                self._pins.task_done()

    async def _keep(self, pin: Credential) -> None:
        self._down.clear()
        try:
            await self._store.credentials.put([pin])
        except StoreUnavailable:
            self._down.set()
            raise

    async def _take_over(self, files: Mapping[str, str], pins: Mapping[str, str]) -> None:
        """Replace the files here by what the database has. Own keys that it hasn't are put aside."""
        found, self._since = await self._store.credentials.changed(None)
        keys = {one.name: one.content for one in found if one.kind == "key"}
        for name in files:
            if files[name] != keys.get(name):
                await asyncio.to_thread(self._put_aside, name)
        await asyncio.to_thread(self._write_keys, keys)
        known = {one.name: one.content for one in found if one.kind == "host_key"}
        self._host_keys.adopt({**dict.fromkeys(pins), **known})

    def _read_keys(self) -> dict[str, str]:
        if not self._keys_dir.is_dir():
            return {}
        files = (path for path in self._keys_dir.iterdir() if path.name.startswith("id_") and path.is_file())
        return {path.name: path.read_text() for path in files}

    def _write_keys(self, keys: Mapping[str, str | None]) -> bool:
        changed = False
        for name, content in keys.items():
            path = self._keys_dir / name
            if content == self._known_keys.get(name):
                continue
            changed = True
            if content is None:
                path.unlink(missing_ok=True)
                del self._known_keys[name]
            else:
                write_private(path, content.encode(), mode=0o644 if path.suffix == ".pub" else 0o600)
                self._known_keys[name] = content
        return changed

    def _put_aside(self, name: str) -> None:
        aside = self._keys_dir / REPLACED / f"{name}-{time.time_ns()}"
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        (self._keys_dir / name).rename(aside)
        log.warning("own key put aside: the database has another", file=name, now=str(aside))


def _build_keys(contents: Mapping[str, str | None]) -> list[Credential]:
    return [Credential(kind="key", name=name, content=content) for name, content in contents.items()]
