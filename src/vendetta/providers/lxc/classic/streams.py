"""What goes on until somebody has enough: the log of a console, and what happens to containers."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from vendetta.errors import EngineUnavailable, Unsupported
from vendetta.providers.powers import BEGUN, InstanceEvent
from vendetta.transport import CommandResult, Output

from .host import GREETING, Host


async def logs(
    host: Host, name: str, *, follow: bool, tail: int | None, since: float | None
) -> AsyncGenerator[Output, None]:
    """Implement `Logs.logs` by the console, where there is no telling output from errors."""
    if since is not None:
        raise Unsupported("the log of a console keeps no times", hint="Leave `since` out, or use `tail`.")
    arguments = ("yes" if follow else "no", "all" if tail is None else str(tail))
    async with aclosing(_read(host, f"read the logs of {name}", "logs", name, *arguments)) as pieces:
        async for data in pieces:
            yield Output("stdout", data)


async def watch(host: Host) -> AsyncGenerator[InstanceEvent, None]:
    """Implement `Watch.watch`."""
    rest = b""
    async with aclosing(_read(host, "watch workspaces", "watch", "")) as pieces:
        async for data in pieces:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield parse_event(line)
    raise EngineUnavailable(f"lxc-monitor on node {host.node} has ended")


def parse_event(line: bytes) -> InstanceEvent:
    name, _, state = line.decode().partition(" ")
    if not name:
        return BEGUN
    return InstanceEvent(name=name, action=state.lower())


async def _read(host: Host, doing: str, script: str, name: str, *arguments: str) -> AsyncGenerator[bytes, None]:
    """What a script says, without its greeting. It is closed by the end of its input, however that comes."""
    process = await host.open(script, name, *arguments)
    said, complaint, greeted = b"", b"", False
    try:
        while (piece := await process.read()) is not None:
            if piece.channel == "stderr":
                complaint += piece.data[: 4096 - len(complaint)]
            elif greeted:
                yield piece.data
            else:
                said += piece.data
                _, greeting, rest = said.partition(GREETING)
                greeted = bool(greeting)
                if rest:
                    yield rest
        status = await process.wait()
        if status or not greeted:
            host.parse(doing, name, CommandResult(status, GREETING if greeted else b"", complaint))
    finally:
        await process.close()
