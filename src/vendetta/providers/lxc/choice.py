"""The technology LXC: which back end a node has, Incus, LXD or the classic commands, in this order."""

from collections.abc import Mapping

from vendetta.errors import EngineForbidden, EngineUnavailable
from vendetta.providers.technology import BackEnd, Technology
from vendetta.transport import Transport

from .classic import Classic
from .daemon import DIALECTS, Daemon
from .options import check_spec

SOCKETS: Mapping[str, str] = {
    **{dialect.socket_path: name for name, dialect in DIALECTS.items()},
    "/var/snap/lxd/common/lxd/unix.socket": "lxd",
}
"""The daemon by its socket, in the order of preference."""

INSTALL = "sudo apt-get install incus"

CLASSIC = "classic"
# One round trip: the sockets that are there, then whether the commands are.
FIND = f'for path; do [ -S "$path" ] && echo "$path"; done; command -v lxc-start >/dev/null && echo {CLASSIC}; true'


async def choose(transport: Transport, owner: str) -> Daemon | Classic:
    """Return the provider of the node. Raises `EngineUnavailable` where there is no back end, `LinkError`."""
    result = await transport.run(["sh", "-c", FIND, "find", *SOCKETS], timeout_seconds=20.0)
    paths, has_classic = parse_found(result.stdout)
    others = len(paths) + has_classic > 1
    for path in paths:
        if not others or await _answers(transport, path):
            return _build_daemon(transport, owner, path)
    if has_classic:
        return Classic(transport, owner)
    if paths:
        return _build_daemon(transport, owner, paths[0])
    raise EngineUnavailable(
        f"there is neither Incus, nor LXD, nor lxc on node {transport.node}",
        hint=f"Install one of them there, for example: {INSTALL}",
        node=transport.node,
        found="absent",
        mend=INSTALL,
    )


def _build_daemon(transport: Transport, owner: str, path: str) -> Daemon:
    return Daemon(transport, owner, SOCKETS[path], path)


async def _answers(transport: Transport, path: str) -> bool:
    """Return whether a daemon listens there: its socket stays behind when it is stopped.

    One that is closed to us counts.
    """
    try:
        stream = await transport.open_unix(path)
    except EngineUnavailable:
        return False
    except EngineForbidden:
        return True
    await stream.close()
    return True


def parse_found(output: bytes) -> tuple[list[str], bool]:
    """Return the sockets in the order of preference, and whether the classic commands are there.

    Lines of a talkative login are passed over.
    """
    lines = output.decode(errors="replace").splitlines()
    return [path for path in SOCKETS if path in lines], CLASSIC in lines


LXC = Technology(
    back_ends=[
        BackEnd("incus", "Incus", Daemon),
        BackEnd("lxd", "LXD", Daemon),
        BackEnd("lxc", "classic LXC", Classic),
    ],
    bind=choose,
    validate=check_spec,
)
