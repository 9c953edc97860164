"""What a node has been examined for, and how each of it stands."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

CheckState = Literal["ok", "warning", "failure", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`detail` is what was found; `mend` the command that mends it: for the node itself, or one of `vendetta`.

    `skipped`: it could not be looked at because something before it failed, or the node has no need of it.
    """

    name: str
    state: CheckState
    detail: str
    mend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """`seconds` is how long it took. The checks stand in an order that makes sense to mend them in."""

    node: str
    at: datetime
    seconds: float
    checks: list[Check] = field(default_factory=list)
