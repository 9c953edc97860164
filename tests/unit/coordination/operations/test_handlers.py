"""The handlers of operations: one for each line of the table of changes."""

from typing import Any

import pytest

from vendetta.coordination.changes import CHANGES
from vendetta.coordination.commands import Dispatcher
from vendetta.coordination.nodes.cleanup import Cleanup
from vendetta.coordination.nodes.drain import Draining
from vendetta.coordination.nodes.images import Images
from vendetta.coordination.nodes.key_rotation import KeyRotations
from vendetta.coordination.operations import Handler
from vendetta.coordination.operations.handlers import register_handlers
from vendetta.coordination.workspaces.lifecycle import Lifecycle
from vendetta.coordination.workspaces.move import Moves
from vendetta.coordination.workspaces.snapshots import Snapshotting

PERFORMERS = (Lifecycle, Snapshotting, Moves, Draining, Cleanup, Dispatcher, Images, KeyRotations)


class Registered:
    """What `Operations.register` was called with."""

    def __init__(self) -> None:
        self.handlers: dict[str, tuple[bool, float | None]] = {}

    def register(self, kind: str, handler: Handler, *, takes_turns: bool, deadline_seconds: float | None) -> None:
        assert kind not in self.handlers
        self.handlers[kind] = (takes_turns, deadline_seconds)


def test_every_change_is_performed_by_one_use_case() -> None:
    registered: Any = Registered()
    # what performs is not called here
    register_handlers(registered, *(object.__new__(use_case) for use_case in PERFORMERS))
    assert registered.handlers == {
        kind: (change.takes_turns, change.deadline_seconds) for kind, change in CHANGES.items()
    }


def test_a_kind_without_a_line_in_the_table_is_not_registered() -> None:
    class Unknown:
        def handlers(self) -> dict[str, Handler]:
            async def nothing(*_: object) -> None: ...

            return {"thing.do": nothing}

    registered: Any = Registered()
    with pytest.raises(KeyError, match="thing"):
        register_handlers(registered, Unknown())
