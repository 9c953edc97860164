"""Files and folders to the node and back: by SFTP, and where its sshd has none by streams that a shell there serves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh

from vendetta.transport import OnBytes

from .failures import copying, using
from .sessions import Sessions, is_refused
from .streamed import OpenProcess, Streamed

OPEN_SECONDS = 30.0


class Copying:
    """Of one connection, which remembers that there is no SFTP."""

    def __init__(
        self,
        node: str,
        connection: asyncssh.SSHClientConnection,
        sessions: Sessions,
        open_process: OpenProcess,
    ) -> None:
        self._node = node
        self._connection = connection
        self._sessions = sessions
        self._streamed = Streamed(node, open_process)
        self._without_sftp = False

    async def put(self, local: Path, remote: str, on_bytes: OnBytes | None) -> None:
        """A file, or a folder with all that is in it; into `remote` where that is a folder.

        Raises `NotFound`, `Forbidden`, `OutOfResources`, `CommandFailed`.
        """
        what = f"copy {local.name} to {remote}"
        async with self._sftp(what) as sftp:
            if sftp:
                recurse = await asyncio.to_thread(local.is_dir)
                await sftp.put(str(local), remote, recurse=recurse, progress_handler=_progress(on_bytes))
                return
        await self._streamed.put(what, local, remote, on_bytes)

    async def get(self, remote: str, local: Path, on_bytes: OnBytes | None) -> None:
        """As `put`, the other way."""
        what = f"copy {remote} to {local.name}"
        async with self._sftp(what) as sftp:
            if sftp:
                recurse = await sftp.isdir(remote)
                await sftp.get(remote, str(local), recurse=recurse, progress_handler=_progress(on_bytes))
                return
        await self._streamed.get(what, remote, local, on_bytes)

    @asynccontextmanager
    async def _sftp(self, what: str) -> AsyncIterator[asyncssh.SFTPClient | None]:
        if self._without_sftp:
            yield None
            return
        with using(self._node, what), copying(self._node, what):
            async with self._sessions.slot():
                sftp = await self._start()
                if sftp:
                    async with sftp:
                        yield sftp
                    return
        self._without_sftp = True
        yield None

    async def _start(self) -> asyncssh.SFTPClient | None:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                return await self._sessions.open(self._connection.start_sftp_client)
        except asyncssh.ChannelOpenError as exc:
            if is_refused(exc):
                raise
        except asyncssh.SFTPError:
            # a server is started, but isn't there, or something else answers
            if self._connection.is_closed():
                raise
        return None


def _progress(on_bytes: OnBytes | None) -> Callable[[bytes, bytes, int, int], None] | None:
    if on_bytes is None:
        return None
    return lambda source, target, done, total: on_bytes(done, total)
