"""An operation: a command that is tracked durably, can be waited for, and is repeatable."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from .problem import Problem

OperationState = Literal["pending", "running", "succeeded", "failed", "cancelled"]
FINISHED: frozenset[OperationState] = frozenset({"succeeded", "failed", "cancelled"})
LONGEST_HISTORY = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is being done now. `current` of `total`, in bytes, where `total` is known.

    `waiting_for` is the node whose link it waits for, if it does. `part` is the part that was done last, in the shape
    in which the result lists it: a `NodeRotation` of `key.rotate`.
    """

    message: str
    current: int | None = None
    total: int | None = None
    waiting_for: str | None = None
    part: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a step, the first being number 1: done where there is no `error`.

    `code` and `error` say why it failed, `next_try_at` when it is tried again at the latest, if it is.
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
    """`kind` is noun and verb (`workspace.create`), `target` the name of what it acts on. `actor` asked for it.

    `attempts` counts how often it was begun: more than once after a crash of the server. `history` is what its steps
    came to, the oldest first, and the newest `LONGEST_HISTORY` of it. What isn't done by `deadline` fails.
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
    """`operation` is the id of what did it, None where it takes none or was refused before; `result` what came of it.

    `problem` is set where it failed.
    """

    name: str
    operation: str | None = None
    result: dict[str, Any] | None = None
    problem: Problem | None = None
