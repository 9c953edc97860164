"""An operation: a command that is tracked durably, can be waited for, and is repeatable."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .problem import Problem

OperationState = Literal["pending", "running", "succeeded", "failed", "cancelled"]
FINISHED: frozenset[OperationState] = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is being done now. `current` of `total`, in bytes, where `total` is known."""

    message: str
    current: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`kind` is noun and verb (`workspace.create`), `target` the name of what it acts on. `actor` asked for it."""

    id: str
    kind: str
    target: str
    state: OperationState
    attempts: int = 0
    actor: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    error: Problem | None = None
