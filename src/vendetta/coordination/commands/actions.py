"""What each action of a command takes, and how those that only ask or run something are done by a provider."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec

from vendetta.coordination.changes import CHANGES
from vendetta.coordination.requests import (
    CleanupRequest,
    ExecConfig,
    LogsConfig,
    NoConfig,
    Request,
    SpecRequest,
    StopRequest,
)
from vendetta.errors import Cancelled, VendettaError
from vendetta.models import ExecutionResult
from vendetta.providers.base import Provider
from vendetta.providers.powers import Logs, Measured, require
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Process

ENDING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Action:
    """`power` is the rarer one that it takes, if any. It is about one workspace, unless `of_node`.

    `change` is the kind of the operation that does it; without one it only asks, or runs something.
    """

    description: str
    config: type[Request] = NoConfig
    power: str | None = None
    of_node: bool = False
    change: str | None = None


def _build(kind: str) -> Action:
    """Return the action that is a change of a workspace, as the table of changes has it."""
    return Action(CHANGES[kind].description, CHANGES[kind].request, change=kind)


ACTIONS: Mapping[str, Action] = {
    "create": Action("Makes a workspace, not running.", SpecRequest, change="workspace.create"),
    "up": Action("Makes a workspace and starts it.", SpecRequest, change="workspace.create"),
    "start": _build("workspace.start"),
    "stop": _build("workspace.stop"),
    "down": Action("The same as stop.", StopRequest, change="workspace.stop"),
    "restart": _build("workspace.restart"),
    "remove": _build("workspace.remove"),
    "status": Action("What the engine says of it now."),
    "list": Action("All of ours that the engine has.", of_node=True),
    "exec": Action("Runs a program in it to its end.", ExecConfig),
    "logs": Action("What its own command wrote.", LogsConfig, power="logs"),
    "stats": Action("What it uses now.", power="stats"),
    "cleanup": Action(
        "Takes off the node what is ours and no workspace stands for.",
        CleanupRequest,
        power="belongings",
        of_node=True,
        change="node.cleanup",
    ),
}
"""Every action of a command."""


async def _status(provider: Provider, name: str, config: Request) -> ExecutionResult:
    instance = await provider.inspect(name)
    output = f"{instance.name} {instance.state}"
    return ExecutionResult(success=True, output=output, metadata=msgspec.to_builtins(instance))


async def _list(provider: Provider, name: str, config: Request) -> ExecutionResult:
    instances = await provider.list()
    output = "\n".join(f"{instance.name} {instance.state}" for instance in instances)
    return ExecutionResult(success=True, output=output, metadata={"instances": msgspec.to_builtins(instances)})


async def _exec(provider: Provider, name: str, config: Request) -> ExecutionResult:
    assert isinstance(config, ExecConfig)  # noqa: S101 - ACTIONS says so
    process = await provider.exec(name, config.argv, env=config.env, cwd=config.cwd, user=config.user)
    streams: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
    feeding = asyncio.create_task(_feed(process, (config.stdin or "").encode()))
    try:
        while output := await process.read():
            streams[output.channel] += output.data
        exit_status = await process.wait()
    except asyncio.CancelledError as exc:
        if left := await _end(process):
            raise Cancelled(f"{config.argv[0]} was cancelled in {name}; {left}", left=left) from exc
        raise
    finally:
        # a process need not read all of its input: what became of that doesn't matter once it has ended
        await cancel_and_wait(feeding)
        await process.close()
    stdout, stderr = (bytes(stream).decode(errors="replace") for stream in streams.values())
    return ExecutionResult(
        success=exit_status == 0,
        output=stdout,
        error=f"{config.argv[0]} ended with exit status {exit_status}" if exit_status else None,
        metadata={"exit_status": exit_status, "stdout": stdout, "stderr": stderr},
    )


async def _end(process: Process) -> str | None:
    """Ends it for good. Returns what is to be said where that can't be done."""
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            await process.signal("KILL")
    except (VendettaError, TimeoutError) as exc:
        why = exc.message if isinstance(exc, VendettaError) else "it did not answer"
        return f"its program may still run, since it could not be signalled: {why}"
    return None


async def _feed(process: Process, data: bytes) -> None:
    if data:
        await process.write(data)
    await process.write_eof()


async def _logs(provider: Provider, name: str, config: Request) -> ExecutionResult:
    assert isinstance(config, LogsConfig)  # noqa: S101 - ACTIONS says so
    able = require(provider, Logs)
    data = b"".join([output.data async for output in able.logs(name, tail=config.tail, since=config.since)])
    return ExecutionResult(success=True, output=data.decode(errors="replace"))


async def _stats(provider: Provider, name: str, config: Request) -> ExecutionResult:
    stats = await require(provider, Measured).stats(name)
    output = f"cpu {stats.cpu_fraction:.2f}, memory {stats.memory_bytes / 2**20:.1f} MiB, {stats.pids} processes"
    return ExecutionResult(success=True, output=output, metadata=msgspec.to_builtins(stats))


ASKING: Mapping[str, Callable[[Provider, str, Request], Awaitable[ExecutionResult]]] = {
    "status": _status,
    "list": _list,
    "exec": _exec,
    "logs": _logs,
    "stats": _stats,
}
