"""What a provider says of itself, and what came of a command that was sent to one on a node."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """What came of a command. `output` is text for people, such as what a program printed; `metadata` is for programs.

    Where `success` is false, `error` is the message, and `metadata["problem"]` the problem if there is one.
    """

    success: bool
    output: str = ""
    error: str | None = None
    duration_seconds: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option that only this provider has. `type` is a word for people (text, boolean, path …).

    `choices` are the values that it takes; empty where there are no certain ones.
    """

    name: str
    type: str
    description: str
    choices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDescription:
    """An action of a provider. `config` is a JSON Schema (2020-12) of its configuration."""

    name: str
    description: str
    config: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDescription:
    """A provider. `powers` is what it can do beyond what all can.

    `lacks` are the fields of a spec that it refuses, each with the reason. `conditions` says what a power needs on the
    node; on one without that it is `unsupported`.
    """

    kind: str
    powers: list[str]
    actions: list[ActionDescription]
    options: list[Option]
    lacks: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
