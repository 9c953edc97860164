"""SSH keys that the server logs in to nodes with, their rotation, and tokens that callers log in to the server with."""

from dataclasses import dataclass
from datetime import datetime

from .problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An SSH key that the server can log in with. `path` is None for a key of the agent.

    `unlocked`: it is encrypted, and the running server was told its passphrase.
    """

    path: str | None
    type: str
    fingerprint: str
    comment: str
    public_key: str
    encrypted: bool = False
    unlocked: bool = False
    source: str = "file"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    id: str
    name: str
    role: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCreated:
    """`secret` is shown this once: the server keeps its hash alone."""

    token: Token
    secret: str
