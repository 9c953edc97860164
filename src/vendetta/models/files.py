"""What stands at a path in an instance."""

from dataclasses import dataclass
from typing import Literal

PathKind = Literal["file", "directory", "link", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStat:
    """`mode` is the permission bits; `target` is where a link points to, as it is written."""

    kind: PathKind
    size_bytes: int
    mode: int
    target: str | None = None
