"""What a back end of LXC is: the whole contract, and every power that some back end has."""

from collections.abc import AsyncGenerator
from typing import Protocol

from vendetta.models import InstanceSpec
from vendetta.providers.base import Provider
from vendetta.providers.powers import (
    Belongings,
    Checkup,
    Console,
    Files,
    Images,
    InstanceEvent,
    Logs,
    Measured,
    Moving,
    Pausing,
    Resizing,
    Snapshots,
    Watch,
)
from vendetta.transport import Output, Stream


class Backend(
    Provider,
    Logs,
    Measured,
    Moving,
    Watch,
    Checkup,
    Snapshots,
    Files,
    Images,
    Pausing,
    Console,
    Resizing,
    Belongings,
    Protocol,
):
    """What one can't do at all raises `Unsupported`, with the reason.

    `probe` tells its name before its version: "incus 6.0.4", "lxd 5.0.2", "lxc 5.0.2".
    """

    @staticmethod
    def validate(spec: InstanceSpec) -> None:
        """What this back end can't take, beside what none can: told by `create`, since only a node says which it is."""

    async def open_socket(self) -> Stream:
        """As `Direct.open_socket`."""

    # generators, so that the front can close them

    def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> AsyncGenerator[Output, None]: ...

    def watch(self) -> AsyncGenerator[InstanceEvent, None]: ...

    def get_archive(self, name: str, path: str) -> AsyncGenerator[bytes, None]: ...

    def export_instance(self, name: str, mark: str) -> AsyncGenerator[bytes, None]: ...
