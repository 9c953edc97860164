"""What came of rotating the server's key: for all of it, and for each node."""

from dataclasses import dataclass

from .key import Key
from .problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRotation:
    """`error` says why the node keeps the old key; None: it has the new one, and the old one no more."""

    node: str
    error: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """`key` is the new one. Until every node there is has it (`finished`), the old one is kept and offered too.

    `left` are the nodes that don't have it yet: those that failed, and those that weren't asked for.
    """

    key: Key
    nodes: list[NodeRotation]
    left: list[str]
    finished: bool
