"""The rarer powers: what some technologies can do and others can't, each a protocol of its own.

A provider has a power when its class has the methods, and never a stub. Where a power needs more of a node than the
engine (`Provider.needs`: a storage pool that limits disks), the method raises `Unsupported` with the reason. What
`providers.base` says of words, errors and repetition holds here too: each method may be repeated after a lost answer.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from vendetta.errors import Unsupported
from vendetta.models import Belonging, Check, Image, Instance, InstanceSpec, PathStat, Snapshot, Stats
from vendetta.transport import Output, Process, Stream, Terminal

from .base import OnProgress, Provider

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InstanceEvent:
    """The instance changed: ask `inspect` what it is now."""

    name: str
    action: str

    @property
    def begins(self) -> bool:
        """Return whether it says that the stream has begun, and nothing else."""
        return self == BEGUN


BEGUN = InstanceEvent("", "watching")


@runtime_checkable
class Logs(Protocol):
    """The power to read what an instance's own command wrote."""

    def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> AsyncIterator[Output]:
        """Yield what it wrote, since `since` (seconds since the epoch).

        With `follow` it goes on until the instance ends.
        Raises `InstanceNotFound` on the first step.
        """


@runtime_checkable
class Measured(Protocol):
    """The power to tell what an instance uses."""

    async def stats(self, name: str) -> Stats:
        """Return what it uses now. Raises `InstanceNotFound`, `WrongState` when it isn't running."""


@runtime_checkable
class Watch(Protocol):
    """The power to be told of changes rather than ask."""

    def watch(self) -> AsyncIterator[InstanceEvent]:
        """Yield changes of ours, as they happen, until the engine or the link ends it with an error.

        The first is `BEGUN`: whatever happens from then on is told.
        """

    async def watch_takes_session(self) -> bool:
        """Return whether `watch` holds one of the link's sessions while it lasts, not a socket, which is free."""


@runtime_checkable
class Checkup(Protocol):
    """The power to say what is the matter with an engine, and how it is mended."""

    async def checks(self) -> Sequence[Check]:
        """Return the engine's part of a node's examination: socket, permission, version, storage, whatever it needs.

        The first check, named by the provider's kind, says whether the engine can be used; `skipped` where there is
        none. Further ones are named `KIND-…`, and left out where the engine can't be asked. All but `ok` come with the
        command that mends it, where there is one; it begins with `sudo` where it takes root. Only a `LinkError` is
        raised. The caller sets a limit of a few seconds.
        """


@runtime_checkable
class Direct(Protocol):
    """The power to be spoken to in the engine's own API, by its own programs."""

    async def open_socket(self) -> Stream:
        """Open a connection of the caller's own to the engine's socket."""

    @staticmethod
    def engine_names() -> Sequence[str]:
        """Return the engines that may listen at the socket, as people call them (`docker`, `podman`)."""

    @staticmethod
    def build_environment(path: str) -> Mapping[str, str]:
        """Return the variables that make the engine's programs use the socket at `path`, on their own machine."""


@runtime_checkable
class Snapshots(Protocol):
    """The power to keep what an instance's disk holds, and to go back to it."""

    async def list_snapshots(self, name: str) -> Sequence[Snapshot]:
        """Return its snapshots, the oldest first. Raises `InstanceNotFound`."""

    async def create_snapshot(self, name: str, snapshot: str) -> Snapshot:
        """Keep the disk, of a running instance too, which goes on running.

        A snapshot of the name that is there is returned.
        Raises `InstanceNotFound`, `OutOfResources`.
        """

    async def restore_snapshot(self, name: str, snapshot: str) -> None:
        """Put the disk back as it was; the instance stays, with its name and spec, stopped. The snapshot stays too.

        Raises `InstanceNotFound`, `WrongState` when it runs, `SnapshotNotFound`.
        """

    async def remove_snapshot(self, name: str, snapshot: str) -> None:
        """Remove one. Absent: success. All of them are removed with the instance. Raises `InstanceNotFound`."""


@runtime_checkable
class Files(Protocol):
    """The power to copy files and trees in and out. Archives are tar streams (POSIX.1-2001 "pax", or GNU)."""

    async def stat_path(self, name: str, path: str) -> PathStat | None:
        """Return what is at `path`, links not followed; None where nothing is. Raises as `get_archive`."""

    async def put_archive(self, name: str, directory: str, archive: AsyncIterator[bytes]) -> None:
        """Unpack the archive in a directory that is there, over what is in its way; owners are numbers.

        Raises `InstanceNotFound`, `WrongState` where a technology can only write into what runs, `PathNotFound`,
        `OutOfResources`. Where it fails in the middle, what was unpacked stays.
        """

    def get_archive(self, name: str, path: str) -> AsyncIterator[bytes]:
        """Yield an archive of what is at `path`, links not followed, under the last part of its name.

        Raises, on the first step, `InstanceNotFound`, `WrongState` (see `put_archive`), `PathNotFound`.
        """


@runtime_checkable
class Images(Protocol):
    """The power to hold images on the node, given or fetched before anybody asks for an instance."""

    async def list_images(self) -> Sequence[Image]:
        """Return all that an instance could be made from here, by name."""

    async def push_image(self, name: str, file: Path, on_progress: OnProgress) -> Image:
        """Give the node the image in a file of this machine, under `name`; the same content again is not sent.

        What formats `file` may have is the technology's. Raises `InvalidInput` where it isn't one of them,
        `OutOfResources`.
        """

    async def pull_image(self, name: str, on_progress: OnProgress) -> Image:
        """Fetch it to the node from where its name says; there already: look whether it is still the same.

        Raises `ImageNotFound`, `OutOfResources`, `InvalidInput` for a name that says no place.
        """

    async def remove_image(self, name: str) -> None:
        """Remove it. Absent: success. Raises `WrongState` where an instance needs it."""


@runtime_checkable
class Builds(Protocol):
    """The power to make an image on the node from a folder."""

    def build_image(
        self,
        name: str,
        context: Path,
        *,
        file: str = "Dockerfile",
        arguments: Mapping[str, str] | None = None,
        platform: str | None = None,
    ) -> AsyncIterator[str]:
        """Build it, and yield what the builder writes, as it comes. `context` is a tar of the folder, on this machine.

        Raises `BuildFailed`, `ImageNotFound`, `OutOfResources`.
        """


@runtime_checkable
class Pausing(Protocol):
    """The power to freeze an instance in memory, and to let it go on."""

    async def pause(self, name: str) -> None:
        """Freeze it. Paused already: success. Raises `InstanceNotFound`, `WrongState` when it isn't running."""

    async def resume(self, name: str) -> None:
        """Let it go on. Running already: success. Raises `InstanceNotFound`, `WrongState` when it is neither."""


@runtime_checkable
class Console(Protocol):
    """The power to sit at an instance's own console: what it shows as it boots, and its login."""

    async def open_console(self, name: str, terminal: Terminal) -> Process:
        """Open its console.

        Closing the process leaves the instance as it is. Raises `InstanceNotFound`, `WrongState`.
        """


@runtime_checkable
class Resizing(Protocol):
    """The power to give a disk more room while the instance is used."""

    async def resize_disk(self, name: str, size_bytes: int) -> None:
        """Enlarge its disk.

        As large already: success. Raises `InstanceNotFound`, `InvalidInput` for less than it has.
        """


@runtime_checkable
class Moving(Protocol):
    """The power to take an instance to another node, with its disk and snapshots.

    A `mark` names one move: letters and digits, at most 40. What is made for the move carries it on both nodes.
    """

    async def check_movable(self, name: str) -> None:
        """Raise `Unsupported` where something of it would be left behind, and says what; `InstanceNotFound`."""

    def export_instance(self, name: str, mark: str) -> AsyncIterator[bytes]:
        """Yield all that it holds, for `import_instance` elsewhere; it stays as it is.

        Raises, on the first step, `InstanceNotFound`, `WrongState` when it runs, `Unsupported` (see `check_movable`).
        """

    async def import_instance(
        self, name: str, spec: InstanceSpec, mark: str, content: AsyncIterator[bytes]
    ) -> Instance:
        """Make it, not running, of what was exported. There already with this mark: what is there; nothing is read.

        Raises `NameTaken` where the name stands for anything else, `OutOfResources`, and what `content` raises.
        """

    async def forget_move(self, name: str, mark: str) -> None:
        """Remove what carries the mark: an instance that was made so, running or not, and what an export put aside.

        Anything else stays. Nothing carries it: success.
        """


@runtime_checkable
class Belongings(Protocol):
    """The power to say everything of ours that is on the node, instances or not, and to take it away."""

    async def list_belongings(self) -> Sequence[Belonging]:
        """Return whatever carries our owner, and what we keep for it: instances, snapshots, volumes, files."""

    async def remove_belonging(self, belonging: Belonging) -> None:
        """Remove it, running or not. Absent: success. Nothing that isn't ours is touched, whatever `belonging` says."""


POWERS: Mapping[str, type] = {
    "belongings": Belongings,
    "build": Builds,
    "checkup": Checkup,
    "console": Console,
    "direct": Direct,
    "files": Files,
    "images": Images,
    "logs": Logs,
    "move": Moving,
    "pause": Pausing,
    "resize": Resizing,
    "snapshots": Snapshots,
    "stats": Measured,
    "watch": Watch,
}


def capabilities(provider: type) -> frozenset[str]:
    """Return the rarer powers that a provider's class implements, by name."""
    return frozenset(name for name, protocol in POWERS.items() if issubclass(provider, protocol))


def require(provider: Provider, power: type[T]) -> T:
    """Return the provider as one that has `power`, a protocol of `POWERS`. Raises `Unsupported`, naming what it has."""
    if isinstance(provider, power):
        return provider
    names = {protocol: name for name, protocol in POWERS.items()}
    has = ", ".join(sorted(capabilities(type(provider)))) or "none"
    raise Unsupported(f"provider {provider.title} has no {names[power]}", hint=f"Of the rarer powers it has: {has}.")
