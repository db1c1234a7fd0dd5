"""The catalogue of one database, on SQLAlchemy Core: its credentials, beside its records."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tollkeeper.errors import AuthenticationError, UnprocessableError
from tollkeeper.store.catalog.records import SQLRecordStore
from tollkeeper.store.protocols import Token

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Scope

__all__ = ["SQLCatalog"]

metadata = sa.MetaData()
token_table = sa.Table(
    "token",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
session_table = sa.Table(
    "session",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("token_id", sa.ForeignKey("token.id"), nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("one_time", sa.Boolean, nullable=False),
)
TOKEN = (token_table.c.id, token_table.c.name, token_table.c.scope, token_table.c.created_at)


class SQLCatalog(SQLRecordStore):
    """The ``Catalog`` of one database: to its records, the credentials; each call is one transaction."""

    def add_token(self, name: str, scope: Scope, digest: bytes) -> Token:
        """Keep a token; see ``Catalog``."""
        created_at = time.time_ns() // 1_000
        values = {"name": name, "scope": scope, "digest": digest, "created_at": created_at}
        with self._transactions.writing() as connection:
            try:
                result = connection.execute(token_table.insert().values(**values))
            except IntegrityError:
                raise UnprocessableError(
                    f"There is a token named {name!r} already: choose another name, or revoke it first."
                ) from None
            (number,) = result.inserted_primary_key or (0,)
        return Token(id=number, name=name, scope=scope, created_at=created_at)

    def find_token(self, digest: bytes) -> Token | None:
        """Look a token up by its hash."""
        return self._one(sa.select(*TOKEN).where(token_table.c.digest == digest))

    def tokens(self) -> list[Token]:
        """List the tokens, oldest first."""
        with self._transactions.reading() as connection:
            rows = connection.execute(sa.select(*TOKEN).order_by(token_table.c.id)).mappings()
            return [Token(**row) for row in rows]

    def revoke_token(self, name: str) -> bool:
        """Forget a token and all that acts for it."""
        mine = sa.select(token_table.c.id).where(token_table.c.name == name).scalar_subquery()
        with self._transactions.writing() as connection:
            connection.execute(session_table.delete().where(session_table.c.token_id == mine))
            return connection.execute(token_table.delete().where(token_table.c.name == name)).rowcount > 0

    def add_session(self, token_id: int, digest: bytes, expires_at: int, *, one_time: bool) -> None:
        """Keep a session or login link, and forget the expired ones."""
        values = {"token_id": token_id, "digest": digest, "expires_at": expires_at, "one_time": one_time}
        now = time.time_ns() // 1_000
        with self._transactions.writing() as connection:
            connection.execute(session_table.delete().where(session_table.c.expires_at <= now))
            if connection.execute(sa.select(token_table.c.id).where(token_table.c.id == token_id)).first() is None:
                raise AuthenticationError("The token was revoked: log in with another one.")
            connection.execute(session_table.insert().values(**values))

    def find_session(self, digest: bytes, now: int) -> Token | None:
        """The token that a session acts for."""
        return self._one(
            sa.select(*TOKEN)
            .join(session_table, session_table.c.token_id == token_table.c.id)
            .where(session_table.c.digest == digest, session_table.c.expires_at > now, ~session_table.c.one_time)
        )

    def take_login_link(self, digest: bytes, now: int) -> Token | None:
        """Use a login link up."""
        taken = (
            session_table.delete()
            .where(session_table.c.digest == digest, session_table.c.expires_at > now, session_table.c.one_time)
            .returning(session_table.c.token_id)
        )
        with self._transactions.writing() as connection:
            number = connection.execute(taken).scalar()
            row = connection.execute(sa.select(*TOKEN).where(token_table.c.id == number)).mappings().first()
        return Token(**row) if row else None

    def end_session(self, digest: bytes) -> None:
        """Forget a session."""
        with self._transactions.writing() as connection:
            connection.execute(session_table.delete().where(session_table.c.digest == digest))

    def _one(self, query: sa.Select[tuple[int, str, str, int]]) -> Token | None:
        with self._transactions.reading() as connection:
            row = connection.execute(query).mappings().first()
        return Token(**row) if row else None
