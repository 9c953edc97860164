"""A snapshot: what an instance's disk held at a moment."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`size_bytes` is what it takes for itself, where the technology tells."""

    name: str
    created_at: datetime
    size_bytes: int | None = None
