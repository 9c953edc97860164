"""Who asks for a change, and on what terms: carried as one value from the route to the operation."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Ask:
    """Hold the actor, the idempotency key and the seconds after which the change fails.

    Without `deadline_seconds` the deadline is that of the change, an hour for most. Asked again with the same `key`,
    a change is the operation that the first one made.
    """

    actor: str
    key: str | None = None
    deadline_seconds: float | None = None

    def for_one(self, name: str) -> Self:
        """Return the ask for one of several: its key is made of this one's and the name."""
        return replace(self, key=f"{self.key}-{name}") if self.key else self
