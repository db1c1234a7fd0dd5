"""Transactions on an engine of SQLAlchemy, through a gate that is shut while the process forks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from tollkeeper.errors import StoreError
from tollkeeper.store.sql.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

__all__ = ["Transactions"]

PATIENCE_SECONDS = 30.0


class Transactions:
    """Begins transactions on an engine. A fork finds its pool closed, and it opens again on either side."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._snapshots = engine.execution_options(reads_only=True)
        self._lost: list[sa.Pool] = []
        self._gate = Gate(
            "The catalogue", close_all=engine.dispose, abandon=self._abandon, library=engine.dialect.name == "sqlite"
        )

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Write all or nothing; what the engine fails by is a StoreError."""
        with self._transaction(self._engine) as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Read in one snapshot; what the engine fails by is a StoreError."""
        with self._transaction(self._snapshots) as connection:
            yield connection

    def close(self) -> None:
        """Close the pool, when the transactions under way have ended; idempotent."""
        self._gate.close(PATIENCE_SECONDS)

    @contextlib.contextmanager
    def _transaction(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        try:
            with self._gate.passage(), engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            # The first line: what follows quotes the row, and a row may hold what is nobody's to read.
            reason = str(getattr(error, "orig", error)).partition("\n")[0]
            raise StoreError(f"The catalogue failed: {reason}.") from error

    def _abandon(self) -> None:
        # What was open at the fork is the parent's: it stays as it is, and nobody here uses it.
        self._lost.append(self._engine.pool)
        self._engine.dispose(close=False)
