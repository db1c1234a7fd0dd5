"""From the URL of a store to its engine: the file is made and brought to this release's schema on the way."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from tollkeeper.errors import ConfigurationError, StoreError
from tollkeeper.store.catalog import SQLCatalog
from tollkeeper.store.memory import MemoryCatalog, MemoryEventStore
from tollkeeper.store.schema import prepare_schema
from tollkeeper.store.sqlite.connections import BUSY_SECONDS, Connections, use_write_ahead_log
from tollkeeper.store.sqlite.events import SQLiteEventStore

__all__ = ["open_stores"]

SQLITE = "sqlite:///"


def open_stores(url: str) -> tuple[SQLiteEventStore | MemoryEventStore, SQLCatalog | MemoryCatalog]:
    """Open ``sqlite:///PATH`` (absolute with four slashes) or ``memory:``; any other raises ConfigurationError."""
    if url == "memory:":
        return MemoryEventStore(), MemoryCatalog()
    if not url.startswith(SQLITE) or url == SQLITE:
        raise ConfigurationError(f"The store {url!r} is not known: give sqlite:///PATH, e.g. sqlite:///tollkeeper.db.")
    path = Path(url.removeprefix(SQLITE))
    if not path.parent.is_dir():
        raise ConfigurationError(f"The folder {path.parent} of the store does not exist: make it, or name another one.")
    engine = _sqlite_engine(path)
    try:
        path.touch(mode=0o600)  # what is captured is nobody else's to read
        prepare_schema(engine)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        engine.dispose()
        raise StoreError(
            f"Cannot open {path} as a store: {getattr(error, 'orig', error)}. Name another with --store."
        ) from error
    return SQLiteEventStore(Connections(path)), SQLCatalog(engine)


def _sqlite_engine(path: Path) -> sa.Engine:
    # isolation_level None keeps the driver from opening and closing transactions on its own, DDL included.
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
        hide_parameters=True,
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        use_write_ahead_log(connection)

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # Who will write takes the lock at once: a transaction that reads first and writes later could fail half-way.
        reads = connection.get_execution_options().get("reads_only")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
