"""An image: what instances are made from, held by a provider on a node."""

from dataclasses import dataclass, field
from datetime import datetime

from .problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`name` is what a spec says to use it; `id` is the engine's own, a digest where it has one.

    `provider` is the technology that holds it, where somebody asked for more than one.
    """

    name: str
    id: str
    size_bytes: int
    created_at: datetime | None = None
    description: str | None = None
    aliases: list[str] = field(default_factory=list)
    provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildNews:
    """Of a build: what the builder said, or how it ended, which comes last."""

    output: str | None = None
    image: Image | None = None
    problem: Problem | None = None
