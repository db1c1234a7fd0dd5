"""Append events to one table of a SQLite file, to be queried with any SQL tool."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.forks import ForkLock
from tollkeeper.sinks.halves import Refused, send_in_halves
from tollkeeper.sinks.rejections import Rejections
from tollkeeper.sinks.rows import UNFIT, row_of
from tollkeeper.sinks.write_ahead import use_write_ahead_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["SQLiteSink"]

BUSY_SECONDS = 5.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS usage_events (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    time TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    route TEXT,
    status_code INTEGER NOT NULL,
    elapsed_time REAL,
    consumer TEXT,
    api TEXT,
    api_version TEXT,
    units NUMERIC NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (source, id)
)
"""
# Values that SQLite cannot hold, or that break what the columns demand.
REFUSED = (*UNFIT, sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
INSERT = """
INSERT INTO usage_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, id) DO NOTHING
"""


class SQLiteSink:
    """Writes each batch as one durable transaction into the table ``usage_events`` of the file at ``path``.

    Any number of threads and processes may write the same file. The connection is opened at first use, and closed
    around a fork, because SQLite's locks do not survive one. ``rejected`` counts the events that do not fit into a row.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.path.abspath(path)  # noqa: PTH100 - a later chdir must not move it; Path.absolute keeps ".."
        self._rejections = Rejections(self._path)
        self._lock = ForkLock(before=self._disconnect, after_in_child=self._abandon)
        self._connection: sqlite3.Connection | None = None
        self._orphans: list[sqlite3.Connection] = []

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make the sink of ``sqlite:///PATH``; raises ConfigurationError when there is no path, or more than that."""
        parts = urlsplit(url)
        if parts.netloc or len(parts.path) <= 1 or parts.query:
            raise ConfigurationError(
                "The sqlite URL of a sink needs a path behind three slashes, and no more: sqlite:///usage.db, or four "
                "for an absolute one: sqlite:////var/lib/usage.db."
            )
        return cls(unquote(parts.path[1:]))

    @property
    def rejected(self) -> int:
        """Events that do not fit into the table, since this sink was made."""
        return self._rejections.count

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Insert a batch; events that are already there are left as they are.

        Raises:
            SinkError: the file cannot be written; to be retried unless it is no database of ours.
        """
        send_in_halves([events], self._insert, self._rejections)

    def close(self) -> None:
        """Close the connection; a later ``send`` opens it again."""
        with self._lock:
            self._disconnect()

    def _insert(self, events: Sequence[UsageEvent]) -> Refused | None:
        with self._lock:
            try:
                connection = self._connection = self._connection or self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    # Row by row, as SQLite takes them: between them, the app's threads can run.
                    connection.executemany(INSERT, map(_row, events))
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
            except REFUSED as error:
                return Refused(f"it cannot be written ({type(error).__name__})")
            except sqlite3.OperationalError as error:
                self._disconnect()
                raise SinkError(f"Cannot write {self._path}: {error}. Check path, rights and space.") from error
            except sqlite3.Error as error:
                self._disconnect()
                raise SinkError(
                    f"{self._path} is no file for this sink: {error}. Name another.", retry=False
                ) from error
        return None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            use_write_ahead_log(connection, BUSY_SECONDS)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(SCHEMA)
            connection.execute("CREATE INDEX IF NOT EXISTS usage_events_time ON usage_events (time)")
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _abandon(self) -> None:
        if self._connection is not None:  # busy at the fork: even to close it here would break the parent's locks
            self._orphans.append(self._connection)
            self._connection = None


def _row(event: UsageEvent) -> tuple[object, ...]:
    source, name, time, *values, units, document = row_of(event)
    moment = time.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return (source, name, moment, *values, str(units), document)
