from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tollkeeper.sinks.write_ahead import use_write_ahead_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new.db"


@pytest.fixture
def locked(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that holds the whole of a new file, as one that makes a log of it does for a moment."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as holder:
        holder.execute("CREATE TABLE t (x)")
        holder.execute("BEGIN EXCLUSIVE")
        yield holder


def test_somebody_else_who_has_the_file_is_waited_for(file: Path, locked: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(file, timeout=0)) as connection:
        threading.Timer(0.2, locked.execute, ["COMMIT"]).start()
        use_write_ahead_log(connection, 10)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.usefixtures("locked")
def test_but_not_for_ever(file: Path) -> None:
    with closing(sqlite3.connect(file, timeout=0)) as connection, pytest.raises(sqlite3.OperationalError, match="lock"):
        use_write_ahead_log(connection, 0.05)


def test_what_is_no_database_is_told_at_once(file: Path) -> None:
    file.write_bytes(b"no database" * 100)
    with closing(sqlite3.connect(file)) as connection, pytest.raises(sqlite3.DatabaseError, match="not a database"):
        use_write_ahead_log(connection, 10)
