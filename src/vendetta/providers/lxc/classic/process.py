"""A program in a container by lxc-attach, or its console: a process of the node that says first whether it runs."""

import re
import secrets
from collections.abc import Sequence
from contextlib import suppress

from vendetta.errors import ConnectionLost, InvalidInput, VendettaError
from vendetta.transport import Output, Process, Terminal

from .host import Host

_END_OF_INPUT = b"\x04"
_KEYS = {"INT": b"\x03", "QUIT": b"\x1c"}
"""What a terminal makes signals of, for whatever runs in its foreground."""

_SIGNALS = re.compile(r"[A-Z]+[0-9]?")
_MOST_BEFORE = 65536


class AttachedProcess:
    """`pid` is that of lxc-attach on the node; `rest` came after the line that told it."""

    def __init__(self, host: Host, process: Process, terminal: Terminal | None, pid: str, rest: list[Output]) -> None:
        self._host = host
        self._process = process
        self._has_terminal = terminal is not None
        self._pid = pid
        self._pending = rest
        self._ended = False
        self._closed = False

    async def read(self) -> Output | None:
        if self._pending:
            return self._pending.pop(0)
        piece = await self._process.read()
        self._ended = self._ended or piece is None
        return piece

    async def write(self, data: bytes) -> None:
        await self._process.write(data)

    async def write_eof(self) -> None:
        if self._has_terminal:
            await self._process.write(_END_OF_INPUT)
        else:
            await self._process.write_eof()

    async def resize(self, columns: int, rows: int) -> None:
        await self._process.resize(columns, rows)

    async def signal(self, name: str) -> None:
        if not _SIGNALS.fullmatch(name):
            raise InvalidInput(f'"{name}" is not a signal', hint="For example INT, TERM or HUP.")
        if self._has_terminal and name in _KEYS:
            await self._process.write(_KEYS[name])
        elif not self._ended:
            await self._host.ask(f"send {name} to a program", "signal", "", self._pid, name)

    async def wait(self) -> int:
        return await self._process.wait()

    async def close(self) -> None:
        """sshd can't end what runs as root in its place: that takes a call of its own."""
        if not self._closed:
            self._closed = True
            if not self._ended:
                with suppress(VendettaError):  # the link has gone, or it has ended just now
                    await self._host.ask("end a program", "signal", "", self._pid, "HUP")
        await self._process.close()


async def attach(
    host: Host, doing: str, script: str, name: str, *arguments: str, terminal: Terminal | None = None
) -> AttachedProcess:
    """Runs exec.sh or console.sh. Raises what they say: `InstanceNotFound`, `WrongState`, `InvalidInput`."""
    word = f"vendetta-{secrets.token_hex(8)}"
    process = await host.open(script, name, word, *arguments, terminal=terminal)
    try:
        said, rest = await _read_until(process, word.encode())
        match said.split():
            case ["run", pid]:
                return AttachedProcess(host, process, terminal, pid, rest)
            case ["absent"]:
                raise host.absent(name)
            case ["wrong", state]:
                raise host.wrong(doing, state)
            case ["nobody"]:
                raise InvalidInput(f"can't {doing} on node {host.node}: there is no such user in it")
            case _:
                complaint = b"".join(piece.data for piece in rest)
                if await process.wait() >= 128:
                    raise ConnectionLost(f"{doing} on node {host.node}: the connection was lost", node=host.node)
                raise host.forbidden(doing, complaint)
    except BaseException:
        await process.close()
        raise


async def _read_until(process: Process, word: bytes) -> tuple[str, list[Output]]:
    """The line that begins with `word`, wherever it comes; and what came after it. Empty without one: all there was."""
    before: list[Output] = []
    channels = {"stdout": b"", "stderr": b""}
    while (piece := await process.read()) is not None:
        before.append(piece)
        heard = channels[piece.channel] = channels[piece.channel][-_MOST_BEFORE:] + piece.data
        _, found, after = heard.partition(word)
        line, newline, rest = after.partition(b"\n")
        if found and newline:
            # on the other channel there can only be what every script says first, and a login's own words
            return line.decode().strip(), [Output(piece.channel, rest)] if rest else []
    return "", before


def build_command(argv: Sequence[str], env: dict[str, str], cwd: str | None, terminal: Terminal | None) -> list[str]:
    """What lxc-attach is given behind its name: variables, and the command. An empty `argv` is a login shell."""
    command = list(argv) or ["/bin/sh", "-c", 'exec "$(command -v bash || echo sh)" -l']
    if cwd is not None:
        command = ["/bin/sh", "-c", 'cd "$1" || exit 126; shift; exec "$@"', "vendetta", cwd, *command]
    surroundings = {**({"TERM": terminal.type} if terminal else {}), **env}
    variables = [word for key, value in surroundings.items() for word in ("--set-var", f"{key}={value}")]
    return [*variables, "--", *command]
