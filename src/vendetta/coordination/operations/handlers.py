"""Register the handlers of operations, which each use case offers by kind."""

from collections.abc import Mapping
from typing import Protocol

from vendetta.coordination.changes import CHANGES

from .service import Handler, Operations


class Performs(Protocol):
    def handlers(self) -> Mapping[str, Handler]:
        """Return the handler of each kind of operation that this use case performs."""


def register_handlers(operations: Operations, *performers: Performs) -> None:
    """Register every handler of the use cases. Raises `KeyError` for a kind without a line in `CHANGES`."""
    for performer in performers:
        for kind, handler in performer.handlers().items():
            change = CHANGES[kind]
            operations.register(kind, handler, takes_turns=change.takes_turns, deadline_seconds=change.deadline_seconds)
