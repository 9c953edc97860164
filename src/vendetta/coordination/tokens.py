"""Tokens: who may call over TCP. The store keeps a hash; the secret is shown once, to whoever had the token made."""

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from vendetta.errors import InvalidInput, Unauthorized, nearest
from vendetta.models import Token, TokenCreated
from vendetta.store import Store, StoreUnavailable

from .events import Events

ROLES = ("admin", "user", "viewer")
PREFIX = "vdt_"
"""So that people and scanners for leaked secrets see what it is."""

TOUCH_EVERY = timedelta(minutes=1)


class Tokens:
    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events

    async def create(self, name: str, role: str, actor: str) -> TokenCreated:
        """Make a token, and return it with its secret.

        Raises `InvalidInput` for an unknown role, `NameTaken` where a valid token has that name.
        """
        if role not in ROLES:
            raise InvalidInput(f'unknown role "{role}".{nearest(role, ROLES)}', hint=f"Roles: {', '.join(ROLES)}.")
        secret = PREFIX + secrets.token_urlsafe(32)
        token = Token(id=uuid.uuid4().hex[:12], name=name, role=role, created_at=datetime.now(UTC))
        await self._store.tokens.add(token, build_hash(secret))
        await self._events.emit("token.created", name, actor, id=token.id, role=role)
        return TokenCreated(token=token, secret=secret)

    async def list(self) -> Sequence[Token]:
        """List them, the oldest first, revoked ones too."""
        return await self._store.tokens.list()

    async def revoke(self, id: str, actor: str) -> Token:
        """Refuse it from now on, and return it. One that is revoked already stays as it is. Raises `TokenNotFound`."""
        token = await self._store.tokens.revoke(id)
        await self._events.emit("token.revoked", token.name, actor, id=id)
        return token

    async def authenticate(self, secret: str) -> Token:
        """Return the token of that secret. Raises `Unauthorized`.

        It is found by its hash, so how long it takes tells nothing about a secret.
        """
        token = await self._store.tokens.by_hash(build_hash(secret))
        if token is None or token.revoked_at is not None:
            raise Unauthorized(
                "the token is not valid" if token is None else f"the token {token.name} was revoked",
                hint="Make one with: vendetta token create NAME, and give it as VENDETTA_TOKEN.",
            )
        if token.last_used_at is None or datetime.now(UTC) - token.last_used_at > TOUCH_EVERY:
            with suppress(StoreUnavailable):  # a full disk is no reason to keep anyone from reading
                await self._store.tokens.touch(token.id)
        return token


def build_hash(secret: str) -> str:
    """Return the secret's hash. It isn't a password's slow one: the secret is random, and every request is checked."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
