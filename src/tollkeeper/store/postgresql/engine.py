"""SQLAlchemy's engine for the catalogue in PostgreSQL, with the manners of the one for SQLite."""

from __future__ import annotations

import sqlalchemy as sa

from tollkeeper.store.postgresql.sessions import open_session

__all__ = ["make_engine"]

LOCK = 7_461_001
"""Held by the one who writes into the catalogue; any number that no other lock of ours has."""
POOL_SIZE, OVERFLOW, WAIT_SECONDS = 2, 6, 30
READ = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def make_engine(url: str, *, lock: int = LOCK) -> sa.Engine:
    """Make an engine; it connects at its first use, and again after a restart of the server.

    Who will write is alone with that, as on SQLite: a transaction may read first and write what follows from it. Alone
    among those with the same ``lock``, that is. Who asks for ``reads_only`` sees one snapshot.
    """

    def connect() -> object:
        session = open_session(url, "catalogue")
        session.autocommit = False
        return session

    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=POOL_SIZE,
        max_overflow=OVERFLOW,
        pool_timeout=WAIT_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
    )

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("reads_only")
        connection.exec_driver_sql(READ if reads else f"SELECT pg_advisory_xact_lock({lock})")

    return engine
