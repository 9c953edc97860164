"""Find the authorized_keys files that a node's sshd reads, and change them; a change lasts only if it proves right.

Two scripts do the node's part. They go to `sh` through its stdin, so that the login shell, be it fish or csh, sees
nothing but the words `sh -s`, and no key is ever part of a command.
"""

import asyncio
import secrets
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import NoReturn

from vendetta.errors import Busy, CommandFailed, Conflict, Forbidden, InvalidInput, VendettaError
from vendetta.ssh.channel import Connection
from vendetta.ssh.failures import lost, using
from vendetta.transport import Process

from .lines import MOST_BYTES
from .sshd_config import Account, in_home_first, parse_key_files

LOCATE = files(__package__).joinpath("locate_keys.sh").read_text()
EDIT = files(__package__).joinpath("edit_keys.sh").read_text()
PATIENCE_SECONDS = 60
"""How long the node waits for others who change the same file."""
ANSWER_SECONDS = 30.0
UNDO_SECONDS = 15.0

Change = Callable[[bytes], bytes]


async def locate(connection: Connection) -> list[str]:
    """Return the files from which sshd reads the login user's keys, the one to write first.

    Raises `CommandFailed` if the node runs no script, `InvalidInput` if its sshd reads no such file, `LinkError`.
    """
    mark = secrets.token_hex(8)
    result = await connection.run(["sh", "-s"], input=f"mark={mark}\n{LOCATE}".encode(), timeout_seconds=ANSWER_SECONDS)
    text = result.stdout.decode(errors="replace")
    said = text.partition(f"\n{mark} account\n")[2].partition(f"{mark} end\n")
    lines = said[0].split("\n", 5)
    if not said[1] or len(lines) < 6 or not lines[1].isdigit():
        raise _no_shell(connection, result.stderr)
    user, uid, groups, home, way, config = lines
    client, _, server, port = (way.split() + [""] * 4)[:4]
    account = Account(
        user=user, uid=int(uid), groups=groups.split(), home=home, client=client, server=server, port=port
    )
    found = parse_key_files(config, account)
    if not found:
        raise InvalidInput(
            f"the sshd of node {connection.node} reads no authorized_keys for {user} (AuthorizedKeysFile none)",
            hint="Give it the key by the way that it takes keys: its AuthorizedKeysCommand, or a certificate.",
            node=connection.node,
        )
    return in_home_first(found, home)


@asynccontextmanager
async def edited(
    connection: Connection, file: str, change: Change, *, undo: Change | None = None, make: bool = True
) -> AsyncIterator[bool]:
    """Give the file its new content while the block runs, and keep that if the block ends without an error.

    Otherwise the file is as before, to the byte, also if the link or this server is gone by then. Yields whether there
    was anything to change. Other callers who change the same file wait meanwhile. If something else has changed the
    file during the block, that change is kept, and `undo` is applied to the result. `make`: create the file, and its
    folder, if it is absent.

    Raises `Busy`, `Conflict`, `Forbidden`, `CommandFailed`, `LinkError`.
    """
    process = await connection.open_process(["sh", "-s"])
    talk = Talk(connection, file, process)
    try:
        await talk.begin(make)
        before = await talk.content()
        after = before if before is None else change(before)
        if before is None or after is None or after == before:
            await talk.leave()
            yield False
            return
        await talk.write(after)
        try:
            yield True
        except BaseException:
            if await talk.undo() == "mixed" and undo:
                await process.close()
                with suppress(VendettaError):
                    async with edited(connection, file, undo, make=False):
                        pass
            raise
        await talk.keep()
    finally:
        with suppress(VendettaError):
            await process.close()


class Talk:
    """The conversation with the script on the node, by its stdin and stdout."""

    def __init__(self, connection: Connection, file: str, process: Process) -> None:
        self._connection = connection
        self._file = file
        self._process = process
        self._mark = secrets.token_hex(8)
        self._stdout = bytearray()
        self._stderr = bytearray()

    async def begin(self, make: bool) -> None:
        """Send the script. `make`: it creates the file if that is absent."""
        settings = {"mark": self._mark, "file": self._file, "make": "1" if make else "", "patience": PATIENCE_SECONDS}
        assigned = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items())
        await self._process.write((assigned + EDIT).encode())

    async def content(self) -> bytes | None:
        """Return the file's content; None if there is no file and none is to be made."""
        word, rest = await self._answer(PATIENCE_SECONDS)
        if (word, rest) == ("failed", "absent"):
            return None
        if word != "content":
            await self._refuse(rest)
        size = int(rest)
        if size > MOST_BYTES:
            raise Conflict(f"{self._file} on node {self._connection.node} is too large to be a list of keys")
        async with self._patient("read"):
            while len(self._stdout) < size:
                await self._more()
        found = bytes(self._stdout[:size])
        del self._stdout[:size]
        return found

    async def write(self, content: bytes) -> None:
        """Write the new content, which the node undoes unless `keep` follows."""
        await self._process.write(f"write {len(content)}\n".encode() + content)
        word, rest = await self._answer()
        if word != "written":
            await self._refuse(rest)

    async def keep(self) -> None:
        """Keep what was written."""
        await self._process.write(b"keep\n")
        word, rest = await self._answer()
        if word != "kept":
            await self._refuse(rest)

    async def leave(self) -> None:
        """End the script before anything was written."""
        await self._process.write_eof()
        await self._answer()

    async def undo(self) -> str | None:
        """Undo what was written, and return the node's answer: `mixed` if others have changed the file.

        Returns None if the node can't be asked: it undoes the change once it misses us.
        """
        with suppress(VendettaError, TimeoutError):
            async with asyncio.timeout(UNDO_SECONDS):
                await self._process.write_eof()
                return (await self._answer())[0]
        return None

    async def _answer(self, more_seconds: float = 0.0) -> tuple[str, str]:
        mark = f"{self._mark} ".encode()
        async with self._patient("wait for an answer", more_seconds):
            while True:
                line, newline, rest = bytes(self._stdout).partition(b"\n")
                if not newline:
                    await self._more()
                    continue
                self._stdout[:] = rest
                if line.startswith(mark):
                    word, _, value = line[len(mark) :].decode(errors="replace").partition(" ")
                    return word, value.strip()

    @asynccontextmanager
    async def _patient(self, what: str, more_seconds: float = 0.0) -> AsyncIterator[None]:
        seconds = ANSWER_SECONDS + more_seconds
        with using(self._connection.node, f"change {self._file}: {what}", seconds):
            async with asyncio.timeout(seconds):
                yield

    async def _more(self) -> None:
        output = await self._process.read()
        if output is None:
            if self._connection.closed:
                raise lost(self._connection.node, f"change {self._file}")
            raise _no_shell(self._connection, bytes(self._stderr))
        (self._stdout if output.channel == "stdout" else self._stderr).extend(output.data)

    async def _refuse(self, reason: str) -> NoReturn:
        async with self._patient("wait for its end"):
            # what it says of it comes by another way, and may come later
            while output := await self._process.read():
                if output.channel == "stderr":
                    self._stderr.extend(output.data)
        stderr = self._stderr.decode(errors="replace").strip()
        what = f"change {self._file} on node {self._connection.node} for {self._connection.user}"
        if reason == "busy":
            raise Busy(f"{what}: somebody else is changing it", hint="Try again in a minute.")
        if reason == "changed":
            raise Conflict(f"{what}: somebody else changed it at the same moment", hint="Try again.")
        said = stderr.splitlines()[-1] if stderr else REASONS.get(reason, "the node doesn't say why")
        if reason in ("folder", "read", "write") and not any(word in said for word in ("space", "quota", "Read-only")):
            raise Forbidden(
                f"{what}: {said}",
                hint="The login user must own the file and its folder, or let root write the key there.",
                node=self._connection.node,
            )
        raise CommandFailed(
            f"{what}: {said}", hint="Nothing was changed.", argv=["sh"], exit_status=1, stderr=stderr[-2000:]
        )


REASONS = {
    "folder": "nothing can be made in that folder",
    "read": "it can't be read",
    "write": "it can't be written",
}


def _no_shell(connection: Connection, stderr: bytes) -> CommandFailed:
    said = stderr.decode(errors="replace").strip()
    return CommandFailed(
        f"node {connection.node} doesn't run a script for {connection.user}",
        hint=f"It says: {said[-300:]}" if said else "Does a ForceCommand, or a login shell that is none, stand before?",
        argv=["sh"],
        exit_status=1,
        stderr=said[-2000:],
    )
