"""An operation: a change that is recorded, run to its end whatever happens to the server, and can be waited for."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from .problem import Problem

OperationState = Literal["pending", "running", "succeeded", "failed", "cancelled"]
FINISHED: frozenset[OperationState] = frozenset({"succeeded", "failed", "cancelled"})
LONGEST_HISTORY = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What an operation does now: `current` of `total`, in bytes or items; null where they aren't known.

    `waiting_for` is the node whose link it waits for, if it does. `part` is the part of the result that was done last,
    as the result has it: a `NodeRotation` of `key.rotate`.
    """

    message: str
    current: int | None = None
    total: int | None = None
    waiting_for: str | None = None
    part: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a step, the first being number 1. It succeeded where there is no `error`.

    `code` and `error` say why it failed, `next_try_at` when it is tried again at the latest; null: it isn't.
    """

    step: str
    number: int
    started_at: datetime
    ended_at: datetime
    code: str | None = None
    error: str | None = None
    next_try_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A change that is recorded and run to its end. `kind` is NOUN.VERB (`workspace.create`), `target` a name.

    `actor` asked for it. `attempts` counts how often it was begun: more than once after a crash of the server. It fails
    if it isn't done by `deadline`. `history` has the newest 50 tries of its steps, oldest first. `result` is set where
    it succeeded, `error` where it failed.
    """

    id: str
    kind: str
    target: str
    state: OperationState
    attempts: int = 0
    actor: str
    created_at: datetime
    deadline: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    error: Problem | None = None
    history: list[Attempt] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """What came of a change on one of many: its `result`, or the `problem` where it failed.

    `operation` is the id of the operation; null where the change is none, or was refused.
    """

    name: str
    operation: str | None = None
    result: dict[str, Any] | None = None
    problem: Problem | None = None
