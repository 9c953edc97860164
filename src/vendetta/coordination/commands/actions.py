"""The actions of a command: what each takes, and how a provider does those that only ask or run a program."""

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
    """What a command can do to one workspace, or to a node where `of_node`.

    `power` is the optional power that the provider needs for it, if any. `change` is the kind of the operation that
    does it; None: it only asks, or runs a program, by `ASKING`.
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
    "create": Action("Create a workspace without starting it.", SpecRequest, change="workspace.create"),
    "up": Action("Create a workspace and start it.", SpecRequest, change="workspace.create"),
    "start": _build("workspace.start"),
    "stop": _build("workspace.stop"),
    "down": Action("Stop the workspace, as `stop` does.", StopRequest, change="workspace.stop"),
    "restart": _build("workspace.restart"),
    "remove": _build("workspace.remove"),
    "status": Action("Ask the engine for the workspace's state."),
    "list": Action("List the instances of this server that the engine has.", of_node=True),
    "exec": Action("Run a program in the workspace to its end.", ExecConfig),
    "logs": Action("Read what the workspace's own command wrote.", LogsConfig, power="logs"),
    "stats": Action("Measure what the workspace uses now.", power="stats"),
    "cleanup": Action(
        "Remove from the node what no known workspace has.",
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
        # a process need not read all of its input: errors of that don't matter once it has ended
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
    """Kill the process. Return why it may still run; None where it was killed."""
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
