"""How a change went for one of several."""

from dataclasses import dataclass
from typing import Any

from .problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """`operation` is the id of what did it, None where it takes none or was refused before; `result` what came of it.

    `problem` is set where it failed.
    """

    name: str
    operation: str | None = None
    result: dict[str, Any] | None = None
    problem: Problem | None = None
