"""Define a node's place in the pool, and the observer of what becomes of it."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from vendetta.errors import VendettaError
from vendetta.ssh.channel import Connection


class LinkObserver(Protocol):
    """Take note of what the links do. Called at once and in order; must not wait, nor raise."""

    def connecting(self, node: str) -> None: ...

    def connected(self, node: str, connection: Connection) -> None: ...

    def lost(self, node: str, error: VendettaError) -> None:
        """Note that a connection that stood has ended, and not because we closed it."""

    def failed(self, node: str, error: VendettaError) -> None:
        """Note that a login failed."""

    def closed(self, node: str) -> None:
        """Note that we closed it: asked to, or because nobody used it."""

    def rested(self, node: str) -> None:
        """Note that we closed it although the node is watched: others needed the place more."""


@dataclass(slots=True, eq=False)
class PendingLogin:
    """A login under way, and the outcome that callers wait for. `watching`: begun only to look at the node."""

    outcome: "asyncio.Future[Connection]"
    watching: bool = False
    task: "asyncio.Task[None] | None" = None

    def cancel(self) -> None:
        """Cancel the login; those who wait for it get `ConnectionLost`."""
        if self.task:
            self.task.cancel()


@dataclass(slots=True, eq=False)
class Link:
    """A node's place in the pool.

    `users` counts leases, and callers that wait for the login; `watchers` those of them that only look. `last_used` is
    when it was last needed, `last_active` when it was last leased at all; both in seconds of the pool's clock.
    """

    node: str
    connection: Connection | None = None
    pending: PendingLogin | None = None
    users: int = 0
    watchers: int = 0
    last_used: float = 0.0
    last_active: float = 0.0

    @property
    def live(self) -> Connection | None:
        """The connection if it stands, else None."""
        return self.connection if self.connection and not self.connection.closed else None

    @property
    def is_idle(self) -> bool:
        """Whether there is a connection that nobody uses or replaces."""
        return self.live is not None and not self.users and self.pending is None

    @property
    def is_watched(self) -> bool:
        """Whether there is a connection that is used just now, but only to look."""
        return self.live is not None and self.users == self.watchers > 0 and self.pending is None

    @property
    def is_empty(self) -> bool:
        """Whether there is no connection, and nobody who wants one."""
        return self.live is None and not self.users and self.pending is None
