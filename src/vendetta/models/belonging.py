"""A belonging: something on a node that is there for us."""

from dataclasses import dataclass
from typing import Literal

BelongingKind = Literal["instance", "snapshot", "volume", "image", "files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """`id` is the engine's own; `workspace` is the name of the instance that it belongs to, where it does."""

    kind: BelongingKind
    id: str
    name: str
    workspace: str | None = None
    size_bytes: int | None = None
