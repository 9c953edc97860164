"""SSH keys that the server logs in to nodes with, their rotation, and tokens that callers log in to the server with."""

from dataclasses import dataclass
from datetime import datetime

from .problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An SSH key that the server can log in with. `path` is null for a key of the agent.

    `unlocked`: it is encrypted, and the running server holds it decrypted.
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
    """What came of a rotation on one node: it has only the new key, or where there is an `error` still the old one."""

    node: str
    error: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """What came of a rotation of the server's key. `key` is the new one.

    `left` are the nodes that don't have it yet: those that failed, and those that weren't named. Until there are none
    (`finished`), the server keeps the old key and offers both.
    """

    key: Key
    nodes: list[NodeRotation]
    left: list[str]
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that lets a caller in over TCP, without its secret."""

    id: str
    name: str
    role: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCreated:
    """A token that was just created, with its `secret`: the server keeps only the hash of that."""

    token: Token
    secret: str
