"""A provider as it describes itself: what can be done with it, and what each of its actions takes."""

from dataclasses import dataclass, field
from typing import Any

from .option import Option


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
