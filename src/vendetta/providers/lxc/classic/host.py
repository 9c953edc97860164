"""Runs this package's scripts as root on the node, and the one place where how they fail becomes one of our errors."""

from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from importlib.resources import files

import msgspec

from vendetta.errors import (
    EngineForbidden,
    EngineUnavailable,
    ImageNotFound,
    InstanceNotFound,
    InvalidInput,
    NameTaken,
    OutOfResources,
    ProviderError,
    SnapshotNotFound,
    UnexpectedReply,
    VendettaError,
    WrongState,
)
from vendetta.providers.identity import engine_name
from vendetta.transport import CommandResult, Process, Terminal, Transport


class Status(IntEnum):
    """The exit statuses that prelude.sh names."""

    WRONG = 65
    ABSENT = 66
    NO_IMAGE = 67
    NO_BRIDGE = 68
    NO_ADDRESS = 69
    TAKEN = 70
    NO_SNAPSHOT = 71
    NO_SOURCE = 72


START_BRIDGE = "sudo systemctl enable --now lxc-net"

_NO_BRIDGE = f"On the node: {START_BRIDGE}. Or name another bridge with the option `network`."
_SHORT = ("no space left", "disk quota exceeded", "cannot allocate memory")
_NO_COMMAND = 127

GREETING = b"vendetta-begins\n"
"""What prelude.sh writes first: only a login's own words come before it on stdout."""
_SECONDS = 60.0
# As root at once, otherwise by sudo, which must not ask. A terminal only carries bytes: that in the container minds
# lines, echo and keys; sudo gives its command another one with the settings of this.
_BECOME_ROOT = """\
if [ -t 0 ]; then stty raw -echo; fi
if [ "$(id -u)" = 0 ]; then exec "$@"; fi
LC_ALL=C exec sudo -n -- "$@"
"""


class Host:
    """One node, and the owner that marks what is ours there."""

    def __init__(self, transport: Transport, owner: str) -> None:
        self.transport = transport
        self.owner = owner
        self._mark = f'{{"owner":{msgspec.json.encode(owner).decode()},'

    @property
    def node(self) -> str:
        return self.transport.node

    async def ask(
        self,
        doing: str,
        script: str,
        name: str = "",
        *arguments: str,
        timeout_seconds: float = _SECONDS,
    ) -> str:
        """Return what the script writes. `doing` is verb and object ("start web"), `name` our name of an instance."""
        argv = self.build_argv(script, name, arguments)
        result = await self.transport.run(argv, timeout_seconds=timeout_seconds)
        return self.parse(doing, name, result)

    async def open(self, script: str, name: str, *arguments: str, terminal: Terminal | None = None) -> Process:
        """Start the script as a process; its greeting is left in its output."""
        return await self.transport.open_process(self.build_argv(script, name, arguments), terminal=terminal)

    def build_argv(self, script: str, name: str, arguments: Sequence[str]) -> list[str]:
        engines = engine_name(name) if name else ""
        run = ["sh", "-c", load_script(script), "vendetta", self._mark, engines, *arguments]
        return ["sh", "-c", _BECOME_ROOT, "vendetta", *run]

    def parse(self, doing: str, name: str, result: CommandResult) -> str:
        """Return the script's output, without its greeting. Raises what its exit status stands for."""
        _, greeting, said = result.stdout.partition(GREETING)
        if not greeting:
            raise self.forbidden(doing, result.stderr)
        if result.exit_status:
            raise self.failure(doing, name, result.exit_status, said, result.stderr)
        return said.decode(errors="replace")

    def failure(self, doing: str, name: str, status: int, said: bytes, complaint: bytes) -> VendettaError:
        words, errors = said.decode(errors="replace").strip(), complaint.decode(errors="replace").strip()
        what = f"can't {doing} on node {self.node}"
        match status:
            case Status.ABSENT:
                return self.absent(name)
            case Status.WRONG:
                return self.wrong(doing, words)
            case Status.NO_IMAGE:
                return ImageNotFound(what, hint=last_words(errors) or None)
            case Status.NO_BRIDGE:
                return EngineUnavailable(f"{what}: there is no network bridge {words}", hint=_NO_BRIDGE)
            case Status.NO_ADDRESS:
                return OutOfResources(f"{what}: all addresses of the bridge {words} are taken")
            case Status.TAKEN:
                return NameTaken(f"{what}: its name is taken there", hint="Remove it, or choose another name.")
            case Status.NO_SNAPSHOT:
                return SnapshotNotFound(what)
            case Status.NO_SOURCE:
                return InvalidInput(f"{what}: there is no {words} to be mounted", hint="Make it on the node first.")
            case _:
                return _recognise(what, status, errors)

    def absent(self, name: str) -> InstanceNotFound:
        return InstanceNotFound(f'no instance "{name}" of ours on node {self.node}')

    def wrong(self, doing: str, state: str) -> WrongState:
        running = state == "RUNNING"
        hint = "Stop it first." if running else "Start it first." if state == "STOPPED" else "Resume it first."
        return WrongState(f"can't {doing} on node {self.node}: it is {state.lower()}", hint=hint)

    def forbidden(self, doing: str, complaint: bytes) -> VendettaError:
        """Return the error for a node where nothing of ours has run."""
        words = last_words(complaint.decode(errors="replace").strip())
        if words and "sudo" not in words:
            return UnexpectedReply(f"can't {doing} on node {self.node}", hint=words)
        return EngineForbidden(
            f"can't {doing} on node {self.node}: lxc needs root there, and sudo doesn't let this user",
            hint="Allow it without a password (in /etc/sudoers.d: USER ALL=(ALL) NOPASSWD: ALL), or log in as root."
            + (f" It says: {words}" if words else ""),
        )


def _recognise(what: str, status: int, errors: str) -> VendettaError:
    """Return the error that the words of a command of the node stand for."""
    if "bridge" in errors or "gateway addresses" in errors:
        return ProviderError(f"{what}: its network bridge isn't there", hint=_NO_BRIDGE)
    if any(word in errors.lower() for word in _SHORT):
        return OutOfResources(what, hint=last_words(errors))
    if status == _NO_COMMAND and "not found" in errors:
        return EngineUnavailable(f"{what}: there is no lxc", hint="On the node: sudo apt-get install lxc")
    return ProviderError(what, hint=last_words(errors) or f"Exit status {status}.", exit_status=status)


def last_words(text: str) -> str:
    return text.rpartition("\n")[2]


@cache
def load_script(name: str) -> str:
    """Read a script, with what goes before each of them; those that make images have more of it."""
    folder = files(__package__) / "scripts"
    parts = ["prelude", *(["image"] if name in _OF_IMAGES else []), name]
    return "\n".join(_strip((folder / f"{part}.sh").read_text()) for part in parts)


_OF_IMAGES = {"template", "push", "find_image", "remove_image"}


def _strip(script: str) -> str:
    """Without the lines that are comments: they needn't travel."""
    return "\n".join(line for line in script.splitlines() if line.strip() and not line.lstrip().startswith("#"))
