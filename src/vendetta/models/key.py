"""Keys: who the server is to its nodes. Tokens: who a caller is to the server."""

from dataclasses import dataclass
from datetime import datetime


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
