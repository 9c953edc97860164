"""A program in a container by lxc-attach, or its console: a process of the node that says first whether it runs."""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from vendetta.errors import InvalidInput, VendettaError
from vendetta.transport import Output, Process, Terminal

from .host import GREETING, Host

SHELL = "/bin/sh"

_END_OF_INPUT = b"\x04"
_KEYS = {"INT": b"\x03", "QUIT": b"\x1c"}
"""What a terminal makes signals of, for whatever runs in its foreground."""

_CONSOLE_SAYS = "Type"
"""How the last line begins that is lxc-console's own: "Type <Ctrl+y q> to exit the console"."""

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

    async def wait_until_ready(self, word: str) -> None:
        """Wait for a line that begins with `word`, or for the end: what is typed before is forgotten."""
        _, self._pending, _ = await read_until(self.read, word)
        if not self._ended:
            await self._host.ask("settle a terminal", "settle", "", self._pid)

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
        """End it by a call of its own: sshd can't end what runs as root in its place."""
        if not self._closed:
            self._closed = True
            if not self._ended:
                with suppress(VendettaError):  # the link has gone, or it has ended just now
                    await self._host.ask("end a program", "signal", "", self._pid, "HUP")
        await self._process.close()


async def attach(
    host: Host,
    name: str,
    argv: Sequence[str],
    *,
    terminal: Terminal | None,
    env: Mapping[str, str],
    cwd: str | None,
    user: str | None,
) -> AttachedProcess:
    """Start a program; an empty `argv` is a login shell.

    Raises `InstanceNotFound`, `WrongState`, `InvalidInput` for no such user.
    """
    word = _make_word()
    command = build_command(argv, env, cwd, terminal, word)
    process = await host.open("exec", name, word, user or "", *command, terminal=terminal)
    attached = await _begin(host, f"run a program in {name}", name, process, terminal, word)
    if terminal is not None:
        await attached.wait_until_ready(word)
    return attached


async def attach_console(host: Host, name: str, terminal: Terminal) -> AttachedProcess:
    """Open the console. Raises as `attach` does."""
    word = _make_word()
    process = await host.open("console", name, word, terminal=terminal)
    attached = await _begin(host, f"open the console of {name}", name, process, terminal, word)
    await attached.wait_until_ready(_CONSOLE_SAYS)
    return attached


def build_command(
    argv: Sequence[str], env: Mapping[str, str], cwd: str | None, terminal: Terminal | None, word: str
) -> list[str]:
    """Build what lxc-attach is given behind its name: variables, and the command.

    On a terminal the command says `word` first: lxc-attach forgets what was typed before it has set that up.
    """
    command = list(argv) or [SHELL, "-c", 'exec "$(command -v bash || echo sh)" -l']
    if cwd is not None:
        command = [SHELL, "-c", 'cd "$1" || exit 126; shift; exec "$@"', "vendetta", cwd, *command]
    if terminal is not None:
        command = [SHELL, "-c", 'echo "$1"; shift; exec "$@"', "vendetta", f"{word} ready", *command]
    surroundings = {**({"TERM": terminal.type} if terminal else {}), **env}
    variables = [text for key, value in surroundings.items() for text in ("--set-var", f"{key}={value}")]
    return [*variables, "--", *command]


async def _begin(
    host: Host, doing: str, name: str, process: Process, terminal: Terminal | None, word: str
) -> AttachedProcess:
    """Once the script has said that it runs. Raises what it says otherwise, with the process closed."""
    try:
        said, rest, before = await read_until(process.read, word)
        match said.split():
            case ["run", pid]:
                if terminal is None:
                    rest = await skip_greeting(process.read, before, rest)
                return AttachedProcess(host, process, terminal, pid, rest)
            case ["absent"]:
                raise host.absent(name)
            case ["wrong", state]:
                raise host.wrong(doing, state)
            case ["nobody"]:
                raise InvalidInput(f"can't {doing} on node {host.node}: there is no such user in it")
            case _:
                await process.wait()  # which says so where it was the link
                raise host.forbidden(doing, b"".join(piece.data for piece in rest))
    except BaseException:
        await process.close()
        raise


async def read_until(read: Callable[[], Awaitable[Output | None]], word: str) -> tuple[str, list[Output], bytes]:
    """Return the rest of the line that begins with `word`, what came after it, and what the other channel had by then.

    Without such a line: "", all there was, b"".
    """
    seen: list[Output] = []
    heard = {"stdout": b"", "stderr": b""}
    while (piece := await read()) is not None:
        seen.append(piece)
        before = heard[piece.channel]
        if GREETING not in before:  # after the greeting all is the program's own output
            before = before[-_MOST_BEFORE:]
        heard[piece.channel] = before + piece.data
        _, found, after = heard[piece.channel].partition(f"{word} ".encode())
        line, newline, rest = after.partition(b"\n")
        if found and newline:
            other = heard["stderr" if piece.channel == "stdout" else "stdout"]
            return line.decode().strip(), [Output(piece.channel, rest)] if rest else [], other
    return "", seen, b""


async def skip_greeting(read: Callable[[], Awaitable[Output | None]], heard: bytes, rest: list[Output]) -> list[Output]:
    """Return what stdout has after the greeting, behind `rest`, which is what stderr has had since.

    Two streams come in no order: the program's own output may be `heard` before the line on stderr that says that it
    runs.
    """
    while True:
        _, found, after = heard.partition(GREETING)
        if found:
            return [*rest, Output("stdout", after)] if after else rest
        if (piece := await read()) is None:
            return rest
        if piece.channel == "stdout":
            heard = heard[-_MOST_BEFORE:] + piece.data
        else:
            rest = [*rest, piece]


def _make_word() -> str:
    return f"vendetta-{secrets.token_hex(8)}"
