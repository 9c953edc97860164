"""A server in small that rotates its key, and kills itself, as a power cut would, at the point that it is told.

    rotating.py HOME

HOME is the user's home and the server's folder. Commands come by stdin, one a line, and are answered by an exit status:
`add NAME PORT` and `rotate POINT` (0: without a kill), which writes what came of it to HOME/ended.json.
"""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.requests import NodeRequest, RotateRequest
from vendetta.paths import Paths
from vendetta.settings import ServerConfig
from vendetta.ssh.authorized_keys.remote_edit import Talk
from vendetta.ssh.endpoint import Login
from vendetta.ssh.identity import succession
from vendetta.ssh.login import Connector


class Points:
    """Before each thing that changes something, here or on a node."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.passed = 0
        for owner, name in ((Talk, "begin"), (Talk, "write"), (Talk, "keep"), (Connector, "verify_key")):
            self._around(owner, name)
        self._around(succession, "write_new_key")
        self._around(Path, "unlink")
        self._around(os, "replace")

    def point(self) -> None:
        self.passed += 1
        if self.passed == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _around(self, owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)
        if asyncio.iscoroutinefunction(original):

            @wraps(original)
            async def call(*args: Any, **kwargs: Any) -> Any:
                self.point()
                return await original(*args, **kwargs)

            setattr(owner, name, call)
            return

        @wraps(original)
        def call_now(*args: Any, **kwargs: Any) -> Any:
            self.point()
            return original(*args, **kwargs)

        setattr(owner, name, call_now)


async def main(home: Path, command: list[str]) -> None:
    paths = Paths(config_dir=home / "v", state_dir=home / "v", runtime_dir=home / "v")
    points = None if command[0] == "add" else Points(int(command[1]))
    async with running_services(paths, ServerConfig(state_file=str(home / "v" / "state.db"))) as services:
        if points:
            await rotate(services, points, home / "ended.json")
        else:
            request = NodeRequest(name=command[1], address="127.0.0.1", user="root", port=int(command[2]))
            await services.node_adding.add(request, Login(accept_new=True), actor="test")


async def rotate(services: Services, points: Points, ended: Path) -> None:
    """What a killed one left to do; else a new one."""
    begun = (await services.operations.list(kind="key.rotate")).items
    unfinished = [operation for operation in begun if operation.finished_at is None]
    operation = unfinished[0] if unfinished else await services.rotation.submit(Ask("test"), RotateRequest())
    operation = await services.operations.wait(operation.id, None)
    ended.write_bytes(msgspec.json.encode({"operation": operation, "points": points.passed}))


def serve(home: Path) -> None:
    """Each command in a process of its own, forked off this one, which has loaded everything and runs nothing."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(main(home, line.split()))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
