"""SQLAlchemy's engine for the catalogue in a SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tollkeeper.store.sql.gate import check_usable
from tollkeeper.store.sqlite.connections import BUSY_SECONDS, use_write_ahead_log

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_engine"]


def make_engine(path: Path) -> sa.Engine:
    """Make an engine; it opens the file at its first use. Who will write is alone with that."""
    # isolation_level None keeps the driver from opening and closing transactions on its own, DDL included.
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
        hide_parameters=True,
    )

    @sa.event.listens_for(engine, "do_connect")
    def _check(*_: object) -> None:
        check_usable()

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        use_write_ahead_log(connection)

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # Who will write takes the lock at once: a transaction that reads first and writes later could fail half-way.
        reads = connection.get_execution_options().get("reads_only")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
