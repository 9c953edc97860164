"""Running programs in an instance, and sitting at its console."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vendetta.errors import InvalidInput
from vendetta.transport import Terminal

from .engine import Engine
from .errors import Refused
from .lookup import Found
from .process import DaemonProcess


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a program runs as."""

    user: int
    group: int
    environment: Mapping[str, str]


LOGIN_SHELL = ("sh", "-c", 'exec "$(command -v bash || echo sh)" -l')


async def run(
    engine: Engine,
    found: Found,
    argv: Sequence[str],
    *,
    terminal: Terminal | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    user: str | None = None,
) -> DaemonProcess:
    """Start a program; an empty `argv` is a login shell. To be called under the engine's `doing`."""
    command = list(argv or LOGIN_SHELL)
    who = await _identify(engine, found, user) if user else None
    body: dict[str, Any] = {
        "command": command,
        "environment": {
            **(who.environment if who else {}),
            **({"TERM": terminal.type} if terminal else {}),
            **(env or {}),
        },
        "wait-for-websocket": True,
        "interactive": terminal is not None,
    }
    if terminal is not None:
        body |= {"width": terminal.columns, "height": terminal.rows}
    if cwd is not None:
        body["cwd"] = cwd
    if who is not None:
        body |= {"user": who.user, "group": who.group}
    operation = await engine.ask("POST", f"{found.path}/exec", params=found.params, json=body)
    return await DaemonProcess.start(engine, operation, terminal=terminal, program=command[0])


async def open_console(engine: Engine, found: Found, terminal: Terminal) -> DaemonProcess:
    """Open the console. To be called under the engine's `doing`."""
    body = {"type": "console", "width": terminal.columns, "height": terminal.rows}
    operation = await engine.ask("POST", f"{found.path}/console", params=found.params, json=body)
    return await DaemonProcess.start(engine, operation, terminal=terminal, is_console=True)


async def _identify(engine: Engine, found: Found, user: str) -> Identity:
    """The API takes numbers alone: what they are, the instance's own /etc/passwd says."""
    try:
        users = await engine.read(f"{found.path}/files", path="/etc/passwd", **found.params)
    except Refused as exc:
        if exc.status != 404:
            raise
        users = b""
    return parse_identity(user, users)


def parse_identity(user: str, users: bytes) -> Identity:
    """Find `user`, a name or a number, perhaps with `:GROUP` (a number), in `users`, an /etc/passwd.

    A number needn't stand there. Raises `InvalidInput` for a name that doesn't.
    """
    name, _, group = user.partition(":")
    if group and not group.isdigit():
        raise InvalidInput(f'"{group}" is not the number of a group')
    for line in users.decode(errors="replace").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and name in (fields[0], fields[2]):
            surroundings = {"HOME": fields[5] or "/", "USER": fields[0]}
            return Identity(int(fields[2]), int(group or fields[3]), surroundings)
    if not name.isdigit():
        raise InvalidInput(f'there is no user "{name}" in it', hint="Name one of its /etc/passwd, or a number.")
    return Identity(int(name), int(group or 0), {})
