"""A belonging: something on a node that is there for us."""

from dataclasses import dataclass, field
from typing import Literal

BelongingKind = Literal["instance", "snapshot", "volume", "image", "files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """`id` is the engine's own; `workspace` is the name of the instance that it belongs to, where it does.

    `provider` is the technology that holds it; `in_use` says that there is a workspace which it belongs to, or that it
    is an image that was given to the node. Both are known to who asked for what a node holds.
    """

    kind: BelongingKind
    id: str
    name: str
    workspace: str | None = None
    size_bytes: int | None = None
    provider: str | None = None
    in_use: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupResult:
    """What was taken off a node."""

    removed: list[Belonging] = field(default_factory=list)
