"""Which back end a node has: Incus, LXD, or the classic commands, in this order."""

from collections.abc import Callable, Mapping
from typing import Literal

from vendetta.errors import EngineForbidden, EngineUnavailable
from vendetta.transport import Transport

from .backend import Backend
from .classic import Classic
from .daemon import Daemon

BackendName = Literal["incus", "lxd", "classic"]

DEFAULT_SOCKETS: Mapping[BackendName, str] = {"incus": "/var/lib/incus/unix.socket", "lxd": "/var/lib/lxd/unix.socket"}

SOCKETS: Mapping[str, BackendName] = {
    **{path: name for name, path in DEFAULT_SOCKETS.items()},
    "/var/snap/lxd/common/lxd/unix.socket": "lxd",
}

INSTALL = "sudo apt-get install incus"


# One round trip: the sockets that are there, then whether the commands are.
FIND = 'for path; do [ -S "$path" ] && echo "$path"; done; command -v lxc-start >/dev/null && echo classic; true'

Factory = Callable[[Transport, str, str], Backend]
"""Of a transport, an owner, and the path of a socket: empty where there is none."""

FACTORIES: Mapping[BackendName, Factory] = {
    "incus": lambda transport, owner, path: Daemon(transport, owner, "incus", path),
    "lxd": lambda transport, owner, path: Daemon(transport, owner, "lxd", path),
    "classic": lambda transport, owner, _: Classic(transport, owner),
}


class Chooser:
    """With a `forced` name nothing is looked for; `socket_path` is that daemon's, where it isn't the usual one."""

    def __init__(
        self, transport: Transport, owner: str, forced: BackendName | None = None, socket_path: str | None = None
    ) -> None:
        self._transport = transport
        self._owner = owner
        self._forced = forced
        self._socket_path = socket_path

    async def choose(self) -> Backend:
        """Raises `EngineUnavailable` where there is none."""
        if self._forced is not None:
            return self._make(self._forced, self._socket_path or DEFAULT_SOCKETS.get(self._forced, ""))
        result = await self._transport.run(["sh", "-c", FIND, "find", *SOCKETS], timeout_seconds=20.0)
        found = parse_found(result.stdout)
        for name, path in found:
            if path == "" or len(found) == 1 or await self._answers(path):
                return self._make(name, path)
        if found:
            return self._make(*found[0])
        raise EngineUnavailable(
            f"there is neither Incus, nor LXD, nor lxc on node {self._transport.node}",
            hint=f"Install one of them there, for example: {INSTALL}",
            node=self._transport.node,
            found="absent",
        )

    async def _answers(self, path: str) -> bool:
        """A socket stays behind when its daemon was stopped for another's sake. One that is closed to us counts."""
        try:
            stream = await self._transport.open_unix(path)
        except EngineUnavailable:
            return False
        except EngineForbidden:
            return True
        await stream.close()
        return True

    def _make(self, name: BackendName, path: str) -> Backend:
        return FACTORIES[name](self._transport, self._owner, path)


def parse_found(output: bytes) -> list[tuple[BackendName, str]]:
    """The back ends in the order of preference, each with its socket; lines of a talkative login are passed over."""
    lines = output.decode(errors="replace").splitlines()
    found: list[tuple[BackendName, str]] = [(name, path) for path, name in SOCKETS.items() if path in lines]
    if "classic" in lines:
        found.append(("classic", ""))
    return found
