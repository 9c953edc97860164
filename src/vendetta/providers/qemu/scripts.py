"""The scripts that run on the node, and what they say: found VMs, and words that stand for errors. One session each."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import msgspec

from vendetta.errors import (
    Busy,
    EngineUnavailable,
    ImageNotFound,
    InstanceNotFound,
    InvalidInput,
    OutOfResources,
    ProviderError,
    UnexpectedReply,
    VendettaError,
    WrongState,
)
from vendetta.models import Instance
from vendetta.transport import CommandResult, Process, Transport

from .records import Record, build_instance

_FAILED = 70
_INSTALL = "Install it there. On Debian: sudo apt-get install qemu-system-x86 qemu-utils"
_WRONG_STATES = {"running": "it is running", "stopped": "it isn't running", "used": "a workspace needs it"}


def _read(*names: str) -> str:
    folder = files(__package__)
    return "\n".join(folder.joinpath(f"{name}.sh").read_text() for name in names)


VMS = _read("common", "accel", "vms")
CREATE = _read("common", "firmware", "create")
IMAGES = _read("common", "images")
CHECKUP = _read("common", "accel", "firmware", "checkup")


@dataclass(frozen=True, slots=True)
class Found:
    """A VM on the node. `state` is created, alive, stopped, killed (by nobody of us), or rebooted (the node was).

    `pid` is qemu's, 0 where it doesn't run; `port` is where its sshd is reached on the node's loopback, 0 for nowhere;
    `how` it is run: `kvm`, `tcg`, or `-` where it isn't; `words` are qemu's last.
    """

    state: str
    pid: int
    port: int
    how: str
    folder: str
    words: str
    record: Record

    @property
    def alive(self) -> bool:
        return self.state == "alive"

    def show(self, status: str | None = None) -> Instance:
        """Return the instance; `status` is QMP's, where it was asked."""
        return build_instance(self.record, self.state, status=status, how=self.how, words=self.words)


class Scripts:
    """Of one node. `what` is verb and object, for messages."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def node(self) -> str:
        return self._transport.node

    async def run(
        self, what: str, script: str, *arguments: str, input: bytes | None = None, timeout_seconds: float = 60.0
    ) -> bytes:
        """Return its output. Raises the error that its last word stands for."""
        result = await self.try_run(script, *arguments, input=input, timeout_seconds=timeout_seconds)
        if result.exit_status:
            raise self.explain(what, result)
        return result.stdout

    async def try_run(
        self, script: str, *arguments: str, input: bytes | None = None, timeout_seconds: float = 60.0
    ) -> CommandResult:
        return await self._transport.run(build_argv(script, arguments), input=input, timeout_seconds=timeout_seconds)

    async def open(self, script: str, *arguments: str) -> Process:
        return await self._transport.open_process(build_argv(script, arguments))

    def explain(self, what: str, result: CommandResult) -> VendettaError:
        return explain(f"{what} on node {self.node}", result)


def build_argv(script: str, arguments: Sequence[str]) -> list[str]:
    return ["sh", "-c", script, "vendetta", *arguments]


def explain(what: str, result: CommandResult) -> VendettaError:
    """Return the error that a script's status and last line stand for."""
    said = result.stderr.decode(errors="replace").strip()
    last = said.rpartition("\n")[2]
    word, _, rest = last.partition(" ") if result.exit_status == _FAILED else ("", "", "")
    match word:
        case "absent":
            return InstanceNotFound(f"{what}: there is no {rest} of ours")
        case "missing":
            return EngineUnavailable(f"{what}: there is no {rest}", hint=_INSTALL)
        case "image":
            hint = "Push it, give its path on the node, or an http(s) address."
            return ImageNotFound(f"{what}: {rest}", hint=hint)
        case "size":
            return InvalidInput(f"{what}: disk: {rest} bytes are less than the image has", hint="Disks only grow.")
        case "firmware":
            return InvalidInput(f"{what}: options.firmware: {rest}", hint="On Debian: sudo apt-get install ovmf")
        case "long":
            hint = "Set XDG_DATA_HOME to something shorter on the node, or choose a shorter name."
            return InvalidInput(f"{what}: the path of its sockets below {rest} would be too long", hint=hint)
        case "running" | "stopped" | "used":
            return WrongState(f"{what}: {_WRONG_STATES[word]}")
        case "busy":
            return Busy(f"{what}: {rest}")
        case "content":
            return InvalidInput(f"{what}: {rest}")
    if "No space left" in said or "Disk quota exceeded" in said:
        return OutOfResources(f"{what}: the node's disk is full", hint="Make room on it.")
    if "Cannot allocate memory" in said:
        return OutOfResources(f"{what}: the node has not so much memory", hint="Give it less, or stop another.")
    reason = rest or last or f"exit status {result.exit_status}"
    return ProviderError(f"{what}: {reason}", stderr=said[-2000:])


def parse_found(output: bytes) -> list[Found]:
    """Read what `tell` wrote, three lines each. Raises `UnexpectedReply`."""
    lines = output.decode(errors="surrogateescape").split("\n")
    return [_parse_one(lines[start : start + 3]) for start in range(0, len(lines) - 2, 3)]


def parse_found_with_key(output: bytes) -> tuple[Found, str]:
    """Read what `tell` wrote, and the private key after it."""
    lines = output.decode(errors="surrogateescape").split("\n", 3)
    return _parse_one(lines[:3]), (lines[3:] or [""])[0]


def parse_found_with_rest(output: bytes) -> tuple[Found, bytes]:
    """Read what `tell` wrote, and what else was said."""
    found, rest = parse_found_with_key(output)
    return found, rest.encode(errors="surrogateescape")


def _parse_one(lines: Sequence[str]) -> Found:
    try:
        head, words, record = lines
        state, pid, port, how, folder = head.split(" ", 4)
        return Found(state, int(pid), int(port), how, folder, words, msgspec.json.decode(record, type=Record))
    except (ValueError, msgspec.DecodeError) as exc:
        raise UnexpectedReply(f"a VM on the node can't be understood: {lines[:1]}") from exc
