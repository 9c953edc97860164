"""A command is what is dispatched to a provider on a node; an execution result is what came of it."""

from dataclasses import dataclass, field
from typing import Any

ACTIONS = (
    *("create", "start", "stop", "restart", "remove", "status", "list", "exec", "logs", "stats", "up", "down"),
    "cleanup",
)
"""Every action a command can name; `up` is create and start, `down` is stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process inside a workspace."""

    name: str
    command: str | None = None
    port: int | None = None
    depends_on: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`workspace` names the instance for every action but `list` and `cleanup`; `config` is what the action takes."""

    action: str
    provider: str
    config: dict[str, Any] = field(default_factory=dict)
    workspace: str | None = None
    services: list[Service] = field(default_factory=list)


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
