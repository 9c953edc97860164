"""The way into a guest: one login to its sshd for each VM, and programs as they are run there.

A login is kept as long as it lasts: it ends with the VM, so what it reaches is always the VM that it was made for.
"""

import asyncio
import secrets
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from signal import Signals

from vendetta.errors import AuthFailed, ConnectFailed, HostKeyChanged, InvalidInput, LinkTimeout, WrongState
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Guest, Process, Terminal, Transport

from .scripts import Found

LOOPBACK = "127.0.0.1"
NOT_YET = (ConnectFailed, LinkTimeout, AuthFailed, HostKeyChanged)
"""Why a guest can't be logged in to, which says nothing of the link to the node."""

_RUN = """\
cd -- "${1:-$HOME}" || exit 126
shift
if [ $# = 0 ]; then exec "${SHELL:-sh}" -l; fi
exec "$@"
"""

# su knows users by name; one without a name is left to util-linux. busybox has a user's name before the command, and
# util-linux takes the options of a command for its own: so that is one text.
_AS_USER = """\
user=$1
case $user in
*[!0-9]*) ;;
*)
  found=
  while IFS=: read -r name _ uid _; do
    if [ "$uid" = "$user" ]; then found=$name; break; fi
  done </etc/passwd
  if [ -z "$found" ]; then exec setpriv --reuid "$user" --regid "$user" --clear-groups sh -c "$2"; fi
  user=$found
  ;;
esac
exec su -s /bin/sh "$user" -c "$2"
"""

# It and what it has started, as a terminal's keys would reach them.
_SIGNAL = """\
for process in /proc/[0-9]*; do
  tr '\\0' '\\n' <"$process/environ" 2>/dev/null | grep -qx "$1" && kill -s "$2" "${process#/proc/}"
done
"""
_MARK = "VENDETTA_EXEC"
SIGNAL_SECONDS = 20.0

Find = Callable[[], Awaitable[tuple[Found, str]]]
"""Looks the VM up on the node: what is found, and the private key."""


class Guests:
    """Of one node, by the names of their VMs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._held: dict[str, tuple[Found, Guest]] = {}
        self._flights: dict[str, asyncio.Task[tuple[Found, Guest]]] = {}

    def held(self, name: str) -> tuple[Found, Guest] | None:
        """Return the login that is open, if any."""
        found = self._held.get(name)
        if found and found[1].closed:
            del self._held[name]
            return None
        return found

    async def enter(self, name: str, find: Find) -> tuple[Found, Guest]:
        """Return the login, one however many ask at once.

        Raises what `find` does, `WrongState` where the guest doesn't answer.
        """
        if held := self.held(name):
            return held
        if name not in self._flights:
            self._flights[name] = asyncio.create_task(self._fly(name, find))
            self._flights[name].add_done_callback(lambda _: self._flights.pop(name, None))
        # one that gives up doesn't take the login away from the others
        return await asyncio.shield(self._flights[name])

    def keep(self, name: str, found: Found, guest: Guest) -> None:
        self._held[name] = (found, guest)

    async def log_in(self, found: Found, key: str) -> Guest:
        """Log in. Raises one of `NOT_YET`, `LinkError`."""
        return await self._transport.login(
            LOOPBACK, found.port, user=found.record.user or "", private_key=key, host_key=found.record.host_key
        )

    async def leave(self, name: str) -> None:
        if held := self._held.pop(name, None):
            await held[1].close()

    async def close(self) -> None:
        flights = list(self._flights.values())
        await cancel_and_wait(*flights)
        for name in list(self._held):
            await self.leave(name)

    async def _fly(self, name: str, find: Find) -> tuple[Found, Guest]:
        found, key = await find()
        try:
            guest = await self.log_in(found, key)
        except NOT_YET as exc:
            raise WrongState(
                f"{name} on node {self._transport.node} can't be reached by SSH: {exc.message}",
                hint="Is it still booting? Its console tells: see the workspace's logs.",
            ) from exc
        self.keep(name, found, guest)
        return found, guest


async def run_in(
    guest: Guest,
    argv: Sequence[str],
    *,
    login: str,
    terminal: Terminal | None,
    env: Mapping[str, str],
    cwd: str | None,
    user: str | None,
) -> "GuestProcess":
    """Start a program. `login` is who we are there; `user` who runs it: root, unless said."""
    mark = secrets.token_hex(8)
    command = build_command(argv, login=login, env={**env, _MARK: mark}, cwd=cwd, user=user)
    return GuestProcess(guest, await guest.open_process(command, terminal=terminal), f"{_MARK}={mark}", login)


class GuestProcess:
    """A program in a guest. sshd passes no signals to those of other users, nor of root: they are sent by a second one.

    `mark` is what it has in its environment.
    """

    def __init__(self, guest: Guest, process: Process, mark: str, login: str) -> None:
        self._guest = guest
        self._process = process
        self._mark = mark
        self._login = login
        self.read, self.write, self.write_eof = process.read, process.write, process.write_eof
        self.resize, self.wait, self.close = process.resize, process.wait, process.close

    async def signal(self, name: str) -> None:
        if f"SIG{name}" not in Signals.__members__:
            raise InvalidInput(f'"{name}" is not a signal', hint="For example INT, TERM, KILL.")
        command = build_command(
            ["sh", "-c", _SIGNAL, "vendetta", self._mark, name], login=self._login, env={}, cwd="/", user=None
        )
        await self._guest.run(command, timeout_seconds=SIGNAL_SECONDS)


def build_command(
    argv: Sequence[str], *, login: str, env: Mapping[str, str], cwd: str | None, user: str | None
) -> list[str]:
    """Return what the login user runs, so that `argv` is run by `user` (root, unless said), who may be a number."""
    wanted = user or "root"
    command = ["sh", "-c", _RUN, "vendetta", cwd or "", *argv]
    if env:
        command = ["env", *(f"{name}={value}" for name, value in env.items()), *command]
    if wanted == login:
        return command
    if login == "root":
        return ["sh", "-c", _AS_USER, "vendetta", wanted, f"exec {shlex.join(command)}"]
    return ["sudo", "-n", "-u", f"#{wanted}" if wanted.isdigit() else wanted, "--", *command]
