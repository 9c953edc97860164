"""A node's place in the pool, and who is told what becomes of it."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from vendetta.errors import VendettaError
from vendetta.ssh.channel import Connection


class LinkObserver(Protocol):
    """Told what the links do, at once and in order. Must not wait, nor raise."""

    def connecting(self, node: str) -> None: ...

    def connected(self, node: str, connection: Connection) -> None: ...

    def lost(self, node: str, error: VendettaError) -> None:
        """A connection that stood has ended, and not by our doing."""

    def failed(self, node: str, error: VendettaError) -> None:
        """A login failed."""

    def closed(self, node: str) -> None:
        """We closed it: asked to, or because nobody used it."""

    def rested(self, node: str) -> None:
        """We closed it although the node is watched: others needed the place more."""


@dataclass(slots=True, eq=False)
class PendingLogin:
    """A login under way, and what those wait for who want its outcome. `watching`: begun only to look at the node."""

    outcome: "asyncio.Future[Connection]"
    watching: bool = False
    task: "asyncio.Task[None] | None" = None

    def cancel(self) -> None:
        if self.task:
            self.task.cancel()


@dataclass(slots=True, eq=False)
class Link:
    """`users` counts leases, and callers that wait for the login; `watchers` those of them that only look.

    `last_used` is when somebody last needed it, `last_active` when it was last leased at all.
    """

    node: str
    connection: Connection | None = None
    flight: PendingLogin | None = None
    users: int = 0
    watchers: int = 0
    last_used: float = 0.0
    last_active: float = 0.0

    @property
    def live(self) -> Connection | None:
        return self.connection if self.connection and not self.connection.closed else None

    @property
    def is_idle(self) -> bool:
        return self.live is not None and not self.users and self.flight is None

    @property
    def is_watched(self) -> bool:
        """Looked at, just now, and used by nobody else."""
        return self.live is not None and self.users == self.watchers > 0 and self.flight is None

    @property
    def is_empty(self) -> bool:
        """Neither a connection, nor anybody who wants one."""
        return self.live is None and not self.users and self.flight is None
