"""An image: what instances are made from, held by a provider on a node."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`name` is what a spec says to use it; `id` is the engine's own, a digest where it has one."""

    name: str
    id: str
    size_bytes: int
    created_at: datetime | None = None
    description: str | None = None
    aliases: list[str] = field(default_factory=list)
