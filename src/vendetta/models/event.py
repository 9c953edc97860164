"""An event: something that happened, numbered, kept, and streamed."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`sequence` rises by the order of happening; `kind` is noun and verb (`node.connected`); `subject` its name."""

    sequence: int
    time: datetime
    kind: str
    subject: str
    actor: str
    data: dict[str, Any] = field(default_factory=dict)
