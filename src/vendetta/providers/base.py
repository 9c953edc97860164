"""The contract between the coordination server and a technology on a node.

Words: an *instance* is what the engine holds, and carries our name for it (`web`, not the engine's own
`vendetta-web`). *Ours* are the instances that carry the `owner` the provider was bound with: nothing else on the node
is ever listed, touched or removed.

A provider is bound to one node's transport, keeps no state, and is idempotent: every method can be repeated after a
lost answer. Any method may raise `LinkError` (the node can't be reached), `EngineUnavailable` (nobody answers on the
engine's socket), `EngineForbidden` (this user may not use it) or `UnexpectedReply`; what else it raises stands with it.

`tests/contract` holds all of this against every provider, on a real engine. Rare powers are protocols of their own:
a provider has the power when its class has the methods, and never a stub.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

from vendetta.errors import Unsupported
from vendetta.models import Check, Instance, InstanceSpec, Progress, ProviderStatus, Stats
from vendetta.transport import Output, Process, Stream, Terminal

T = TypeVar("T")

OnProgress = Callable[[Progress], None]
"""Called as often as there is news: whoever shows it limits the rate."""


class Provider(Protocol):
    """What every technology can do."""

    kind: ClassVar[str]

    # describe

    async def probe(self) -> ProviderStatus:
        """Is the engine there, which version, is it healthy. "Absent" is an answer; only a `LinkError` is raised."""

    @staticmethod
    def validate(spec: InstanceSpec) -> None:
        """Raises `InvalidInput` for options this technology doesn't know or values it can't take. No I/O."""

    async def list(self) -> Sequence[Instance]:
        """Ours alone, in one round trip however many there are."""

    async def inspect(self, name: str) -> Instance:
        """Raises `InstanceNotFound`."""

    # lifecycle

    async def create(self, name: str, spec: InstanceSpec, on_progress: OnProgress) -> Instance:
        """Makes it, not running; fetches the image where it is absent. The same name and spec again: what is there.

        Raises `NameTaken` where the name stands for another spec or isn't ours, `ImageNotFound`, `OutOfResources`.
        """

    async def start(self, name: str) -> None:
        """Already running: success. Raises `InstanceNotFound`, `ProviderError` when the engine can't start it."""

    async def stop(self, name: str, *, timeout_seconds: float = 10.0) -> None:
        """Asks it to end, and ends it after `timeout_seconds`. Already stopped: success. Raises `InstanceNotFound`."""

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Absent: success. Running: `WrongState`, unless `force`."""

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
        """Runs in a running instance; an empty `argv` is a login shell, whichever it has.

        Raises `InstanceNotFound`, `WrongState` when it isn't running.
        A program that isn't there is a process that ends with 127, one that may not be run 126, as shells say it.
        """

    async def dial(self, name: str, port: int) -> Stream:
        """A TCP stream to a port inside. Raises `InstanceNotFound`, `WrongState`, `ConnectFailed` if none listens."""

    async def close(self) -> None:
        """Lets go of what was opened on this side; nothing on the node changes."""


@dataclass(frozen=True, slots=True)
class InstanceEvent:
    """The instance changed: ask `inspect` what it is now."""

    name: str
    action: str


@runtime_checkable
class Logs(Protocol):
    """The power to read what an instance's own command wrote."""

    def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> AsyncIterator[Output]:
        """`since` is seconds since the epoch. With `follow` it goes on until the instance ends.

        Raises `InstanceNotFound` on the first step.
        """


@runtime_checkable
class Measured(Protocol):
    """The power to tell what an instance uses."""

    async def stats(self, name: str) -> Stats:
        """Raises `InstanceNotFound`, `WrongState` when it isn't running."""


@runtime_checkable
class Watch(Protocol):
    """The power to be told of changes rather than ask."""

    def watch(self) -> AsyncIterator[InstanceEvent]:
        """Ours alone, as they happen, until the engine or the link ends it with an error."""


@runtime_checkable
class Checkup(Protocol):
    """The power to say what is the matter with an engine, and how it is mended."""

    async def checks(self) -> Sequence[Check]:
        """The engine's own part of a node's examination: socket, permission, version, storage, whatever it needs.

        The first check, named by the provider's kind, says whether the engine can be used; `skipped` where there is
        none. Further ones are named `KIND-…`, and left out where the engine can't be asked. All but `ok` come with the
        command that mends it, where there is one; it begins with `sudo` where it takes root. Only a `LinkError` is
        raised. The caller sets a limit of a few seconds.
        """


@runtime_checkable
class Direct(Protocol):
    """The power to be spoken to in the engine's own API, by its own programs."""

    async def open_socket(self) -> Stream:
        """A connection of the caller's own to the engine's socket."""

    @staticmethod
    def build_environment(path: str) -> Mapping[str, str]:
        """The variables that make the engine's programs use the socket at `path`, on their own machine."""


POWERS: Mapping[str, type] = {"checkup": Checkup, "direct": Direct, "logs": Logs, "stats": Measured, "watch": Watch}


def capabilities(provider: type) -> frozenset[str]:
    """The rarer powers that a provider's class implements, by name."""
    return frozenset(name for name, protocol in POWERS.items() if issubclass(provider, protocol))


def require(provider: Provider, power: type[T]) -> T:
    """The provider as one that has `power`, a protocol of `POWERS`. Raises `Unsupported`, naming what it has."""
    if isinstance(provider, power):
        return provider
    names = {protocol: name for name, protocol in POWERS.items()}
    has = ", ".join(sorted(capabilities(type(provider)))) or "none"
    raise Unsupported(f"provider {provider.kind} has no {names[power]}", hint=f"Of the rarer powers it has: {has}.")
