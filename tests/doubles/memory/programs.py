"""The programs that instances in memory can run: just enough of the usual ones to try a provider with."""

import asyncio
import math
import shlex
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vendetta.transport import Terminal

from .pipes import Pipe

Write = Callable[[Literal["stdout", "stderr"], bytes], Awaitable[None]]
Listen = Callable[[int, Sequence[str]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What a program sees: its arguments, its streams, its surroundings.

    `terminal` says the size now; `listen(port, argv)` runs `argv` for each connection to that port of the instance.
    """

    argv: Sequence[str]
    stdin: Pipe
    write: Write
    env: Mapping[str, str]
    cwd: str
    user: str
    terminal: Callable[[], Terminal | None]
    listen: Listen

    async def out(self, text: str) -> None:
        await self.write("stdout", text.encode())


async def run(shell: Shell) -> int:
    """The exit status of the program that `argv` names: 127 where there is none, as shells say it."""
    if not shell.argv:
        script = b"".join([line async for line in _all_of(shell)]).decode()
        return await _sh(replace(shell, argv=["sh", "-c", script]))
    program = PROGRAMS.get(shell.argv[0].removeprefix("/bin/"))
    if program is None:
        await shell.write("stderr", f"{shell.argv[0]}: not found\n".encode())
        return 127
    return await program(shell)


async def _all_of(shell: Shell) -> AsyncIterator[bytes]:
    while data := await shell.stdin.read():
        yield data


async def _true(_: Shell) -> int:
    return 0


async def _false(_: Shell) -> int:
    return 1


async def _cat(shell: Shell) -> int:
    async for data in _all_of(shell):
        await shell.write("stdout", data)
    return 0


async def _echo(shell: Shell) -> int:
    await shell.out(" ".join(shell.argv[1:]) + "\n")
    return 0


async def _env(shell: Shell) -> int:
    await shell.out("".join(f"{name}={value}\n" for name, value in shell.env.items()))
    return 0


async def _pwd(shell: Shell) -> int:
    await shell.out(shell.cwd + "\n")
    return 0


async def _id(shell: Shell) -> int:
    """`id -u`"""
    await shell.out(shell.user + "\n")
    return 0


async def _stty(shell: Shell) -> int:
    """`stty size`"""
    terminal = shell.terminal()
    if terminal is None:
        await shell.write("stderr", b"stty: not a terminal\n")
        return 1
    await shell.out(f"{terminal.rows} {terminal.columns}\n")
    return 0


async def _sleep(shell: Shell) -> int:
    seconds = math.inf if shell.argv[1] == "infinity" else float(shell.argv[1])
    if seconds == math.inf:
        await asyncio.get_running_loop().create_future()
    await asyncio.sleep(seconds)
    return 0


async def _nc(shell: Shell) -> int:
    """`nc -ll -p PORT -e PROGRAM…`"""
    port, program = int(shell.argv[shell.argv.index("-p") + 1]), shell.argv[shell.argv.index("-e") + 1 :]
    shell.listen(port, program)
    await asyncio.get_running_loop().create_future()
    return 0


async def _sh(shell: Shell) -> int:
    """`sh -c SCRIPT`, where the script is simple commands between semicolons, `>&2`, `read`, `exec`,
    `kill -NAME $$` and `exit N`."""
    status = 0
    for command in shell.argv[2].replace("\n", ";").split(";"):
        argv = shlex.split(command)
        inner = replace(shell, argv=[word for word in argv if word not in {">&2", "exec"}])
        if ">&2" in argv:
            inner = replace(inner, write=lambda _, data: shell.write("stderr", data))
        match inner.argv:
            case []:
                continue
            case ["exit", number]:
                return int(number)
            case ["kill", name, "$$"]:
                return 128 + signal.Signals[f"SIG{name[1:]}"]
            case ["read", *_]:
                await shell.stdin.read_line()
            case _:
                status = await run(inner)
    return status


PROGRAMS: Mapping[str, Callable[[Shell], Awaitable[int]]] = {
    "true": _true,
    "false": _false,
    "cat": _cat,
    "echo": _echo,
    "env": _env,
    "pwd": _pwd,
    "id": _id,
    "stty": _stty,
    "sleep": _sleep,
    "nc": _nc,
    "sh": _sh,
}
