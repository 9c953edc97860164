"""What came of a command that was dispatched to a provider on a node, and the services of a workspace."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process inside a workspace."""

    name: str
    command: str | None = None
    port: int | None = None
    depends_on: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """`output` is text for people (what a command printed); `metadata` is the same for programs.

    Where `success` is false, `error` is the message and `metadata["problem"]` the whole problem.
    """

    success: bool
    output: str = ""
    error: str | None = None
    duration_seconds: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)
