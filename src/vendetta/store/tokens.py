"""The tokens, by id and by the hash of their secret. The secret itself never comes here."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from vendetta.errors import NameTaken, TokenNotFound
from vendetta.models import Token

from .database import Database
from .rows import build_values, parse_row, parse_rows
from .tables import tokens


class Tokens:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token: Token, secret_hash: str) -> Token:
        """Insert the token, and return it. Raises `NameTaken` where a token of that name is still valid."""
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(tokens).values(**build_values(token), secret_hash=secret_hash))
        except IntegrityError as exc:
            raise NameTaken(
                f"there is already a token {token.name}",
                hint="Choose another name, or revoke it: vendetta token revoke ID",
            ) from exc
        return token

    async def by_hash(self, secret_hash: str) -> Token | None:
        """Return the token whose secret has that hash, also one that was revoked; None where there is none."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(tokens).where(tokens.c.secret_hash == secret_hash))).first()
        return None if row is None else parse_row(Token, row)

    async def revoke(self, id: str) -> Token:
        """Mark the token as revoked, and return it. One that is already stays as it is. Raises `TokenNotFound`."""
        revoked_at = func.coalesce(tokens.c.revoked_at, datetime.now(UTC))
        query = update(tokens).where(tokens.c.id == id).values(revoked_at=revoked_at).returning(*tokens.c)
        async with self._database.write() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise TokenNotFound(f"there is no token {id}", hint="See them with: vendetta token list", token=id)
        return parse_row(Token, row)

    async def touch(self, id: str) -> None:
        """Write that the token was used now."""
        async with self._database.write() as connection:
            await connection.execute(update(tokens).where(tokens.c.id == id).values(last_used_at=datetime.now(UTC)))

    async def list(self) -> Sequence[Token]:
        """List them, the oldest first, revoked ones too."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(tokens).order_by(tokens.c.created_at, tokens.c.id))).all()
        return parse_rows(Token, rows)
