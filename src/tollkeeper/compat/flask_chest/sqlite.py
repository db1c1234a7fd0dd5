"""A chest that is a table of a SQLite file."""

from __future__ import annotations

import os
import sqlite3
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from tollkeeper.compat.flask_chest.chest import FlaskChest
from tollkeeper.compat.flask_chest.values import to_text
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.forks import ForkLock
from tollkeeper.sinks.write_ahead import use_write_ahead_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

    from tollkeeper.compat.flask_chest.chest import Variable

__all__ = ["FlaskChestSQLite"]

MEMORY = ":memory:"
BUSY_SECONDS = 5.0
PAGE_BYTES = 1024
Identity = tuple[int, int] | None


class FlaskChestSQLite(FlaskChest):
    """Writes the variables of a request as rows of the table ``name`` of the file ``db_uri``, in one transaction.

    What was written outlives the process, in SQLite's WAL; a power cut may take the last moments, whole requests of
    them, unless ``synchronous="FULL"`` has each request on disk before its answer. Any number of threads and processes
    may write the same file. It is opened at the first write, and again after a fork, or when another file has taken its
    place.

    Raises:
        ConfigurationError: no table can have this name, or ``synchronous`` is another.
    """

    def __init__(
        self,
        app: Flask | None = None,
        name: str = "flask_chest",
        db_uri: str | os.PathLike[str] = "db.sqlite3",
        *,
        synchronous: Literal["FULL", "NORMAL"] = "NORMAL",
    ) -> None:
        super().__init__(app)
        if not name or "\0" in name:
            raise ConfigurationError(f"No table can be named {name!r}: give the chest another name.")
        if synchronous not in {"FULL", "NORMAL"}:
            raise ConfigurationError(f"synchronous={synchronous!r} is not known: use 'FULL' or 'NORMAL'.")
        self._pragma = f"PRAGMA synchronous = {synchronous}"
        self.name = name
        self.db_uri = db_uri
        path = os.fspath(db_uri).removeprefix("sqlite:///")
        # A later chdir must not move it.
        self._path = path if path == MEMORY else os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps ".."
        table = '"' + name.replace('"', '""') + '"'
        self._create = (
            f"CREATE TABLE IF NOT EXISTS {table} "
            "(unique_id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT, name TEXT, value TEXT)"
        )
        self._insert = f"INSERT INTO {table} (request_id, name, value) VALUES (?, ?, ?)"  # noqa: S608 - quoted above
        self._opened: list[sqlite3.Connection] = []
        self._orphans: list[sqlite3.Connection] = []
        self._identity: Identity = None
        self._process = os.getpid()
        self._lock = ForkLock(before=self._disconnect, after_in_child=self._abandon)
        weakref.finalize(self, _close_all, self._opened, os.getpid())

    def to_dict(self) -> dict[str, Any]:
        """Describe the chest."""
        return {"type": "sqlite", "name": self.name, "db_uri": os.fspath(self.db_uri)}

    def write(self, context_tuple_list: Sequence[Variable]) -> None:
        """Add a row for each variable, or none; blocks for as long as another process holds the file, up to 5 s.

        Raises:
            SinkError: the file cannot be written, or a value cannot be written as JSON.
        """
        rows = [(request_id, name, to_text(name, value)) for name, value, request_id in context_tuple_list]
        if not rows:
            return
        if self._process != os.getpid():
            self._lock.renew()  # forked past the hooks of Python, as by uWSGI
        with self._lock:
            try:
                self._transact(self._connect(), rows)
            except sqlite3.Error as error:
                _close_all(self._opened, self._process)
                raise SinkError(f"Cannot write {self._path}: {error}. Check path, rights and space.") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            _close_all(self._opened, self._process)

    def _transact(self, connection: sqlite3.Connection, rows: list[tuple[str, str, str | None]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            try:
                connection.executemany(self._insert, rows)
            except sqlite3.OperationalError as error:  # it is the first write, or somebody dropped the table
                if "no such table" not in str(error):
                    raise
                connection.execute(self._create)
                connection.executemany(self._insert, rows)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _connect(self) -> sqlite3.Connection:
        if self._opened and self._identity == self._identify():
            return self._opened[0]
        _close_all(self._opened, self._process)
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._opened.append(connection)
        # Only of a new file: a commit writes whole pages, of which a few small rows need little.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        use_write_ahead_log(connection, BUSY_SECONDS)
        connection.execute(self._pragma)
        self._identity = self._identify()
        return connection

    def _identify(self) -> Identity:
        """Tell the file of this name from others that had it, or will."""
        try:
            status = os.stat(self._path)  # noqa: PTH116 - each write does this, and Path costs as much again
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _disconnect(self) -> None:
        _close_all(self._opened, self._process)  # the locks of SQLite do not survive a fork

    def _abandon(self) -> None:
        self._process = os.getpid()
        # Busy at the fork: even to close it here would break the parent's locks.
        self._orphans += self._opened
        self._opened.clear()


def _close_all(opened: list[sqlite3.Connection], process: int) -> None:
    while opened and process == os.getpid():
        with suppress(sqlite3.Error):
            opened.pop().close()
