"""A provider as it describes itself, and what came of a command that was sent to one on a node."""

from dataclasses import dataclass, field
from typing import Any


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """`type` is a word for people: text, boolean, number, path …; `choices` are all values, where they can be told."""

    name: str
    type: str
    description: str
    choices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDescription:
    """`config` is a JSON Schema (2020-12) of the action's configuration."""

    name: str
    description: str
    config: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDescription:
    """`powers` are the rarer things it can do; `lacks` the fields of a spec that it can't honour, each with the reason.

    `conditions` says what a power takes of a node; used on one without it, it is `unsupported`.
    """

    kind: str
    powers: list[str]
    actions: list[ActionDescription]
    options: list[Option]
    lacks: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
