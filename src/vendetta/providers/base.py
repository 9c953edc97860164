"""The contract between the coordination server and a technology on a node.

Words: an *instance* is what the engine holds, and carries our name for it (`web`, not the engine's own
`vendetta-web`). *Ours* are the instances that carry the `owner` the provider was bound with: nothing else on the node
is ever listed, touched or removed.

A provider is bound to one node's transport, keeps no state, and is idempotent: every method can be repeated after a
lost answer. Any method may raise `LinkError` (the node can't be reached), `EngineUnavailable` (nobody answers on the
engine's socket), `EngineForbidden` (this user may not use it) or `UnexpectedReply`; what else it raises stands with it.

`tests/contract` holds all of this against every provider, on a real engine. What only some technologies can do is in
`providers.powers`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

from vendetta.models import Instance, InstanceSpec, Progress, ProviderStatus
from vendetta.transport import Process, Stream, Terminal

from .options import Rules

OnProgress = Callable[[Progress], None]
"""Called as often as there is news: whoever shows it limits the rate."""


class Provider(Protocol):
    """What every technology can do."""

    kind: ClassVar[str]
    rules: ClassVar[Rules]
    """The options of a spec that this technology takes, beside what every one does."""
    lacks: ClassVar[Mapping[str, str]]
    """The fields of a spec (`disk`, `command` …) that it can't honour, and what is said to who asks for one."""

    needs: ClassVar[Mapping[str, str]]
    """What a power needs of a node, by the power's name, where the engine alone isn't enough for it."""

    @property
    def title(self) -> str:
        """Return what people call the engine that it speaks to: the kind, or the back end of a kind ("Incus")."""

    # describe

    async def probe(self) -> ProviderStatus:
        """Return whether the engine is there and healthy, and its version.

        "Absent" is an answer; raises `LinkError` alone.
        """

    @staticmethod
    def validate(spec: InstanceSpec) -> None:
        """Raise `InvalidInput` for options this technology doesn't know or values it can't take. No I/O."""

    async def list(self) -> Sequence[Instance]:
        """Return ours alone, in one round trip however many there are."""

    async def inspect(self, name: str) -> Instance:
        """Return the instance as it is now. Raises `InstanceNotFound`."""

    # lifecycle

    async def create(self, name: str, spec: InstanceSpec, on_progress: OnProgress) -> Instance:
        """Make it, not running; fetch the image where it is absent.

        The same name and spec again: returns what is there.
        Raises `NameTaken` where the name stands for another spec or isn't ours, `ImageNotFound`, `OutOfResources`.
        """

    async def start(self, name: str) -> None:
        """Start it.

        Already running: success. Raises `InstanceNotFound`, `ProviderError` when the engine can't start it.
        """

    async def stop(self, name: str, *, timeout_seconds: float = 10.0) -> None:
        """Ask it to end, and end it after `timeout_seconds`. Already stopped: success. Raises `InstanceNotFound`."""

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove it. Absent: success. Raises `WrongState` when it is running, unless `force`."""

    # act

    async def exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        terminal: Terminal | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: str | None = None,
    ) -> Process:
        """Start a program in a running instance; an empty `argv` is a login shell, whichever it has.

        Raises `InstanceNotFound`, `WrongState` when it isn't running.
        A program that isn't there is a process that ends with 127, one that may not be run 126, as shells say it.
        """

    async def dial(self, name: str, port: int) -> Stream:
        """Open a TCP stream to a port inside.

        Raises `InstanceNotFound`, `WrongState`, `ConnectFailed` if none listens.
        """

    async def close(self) -> None:
        """Close what was opened on this side; nothing on the node changes."""
