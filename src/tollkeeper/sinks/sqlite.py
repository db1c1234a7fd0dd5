"""Append events to one table of a SQLite file, to be queried with any SQL tool."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from tollkeeper.errors import SinkError
from tollkeeper.forks import call_at_fork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["SQLiteSink"]

BUSY_SECONDS = 5.0
FORK_WAIT_SECONDS = 1.0

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
INSERT = """
INSERT INTO usage_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, id) DO NOTHING
"""


class SQLiteSink:
    """Writes each batch as one durable transaction into the table ``usage_events`` of the file at ``path``.

    Any number of threads and processes may write the same file. The connection is opened at first use, and closed
    around a fork, because SQLite's locks do not survive one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.path.abspath(path)  # noqa: PTH100 - a later chdir must not move it; Path.absolute keeps ".."
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._orphans: list[sqlite3.Connection] = []
        self._held_for_fork = False
        call_at_fork(
            before=self._before_fork,
            after_in_parent=self._after_fork_in_parent,
            after_in_child=self._after_fork_in_child,
        )

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Insert a batch; events that are already there are left as they are.

        Raises:
            SinkError: the file cannot be written; to be retried unless it is no database of ours.
        """
        with self._lock:
            try:
                connection = self._connection = self._connection or self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    # Row by row, as SQLite takes them: each step lets the app's threads run.
                    connection.executemany(INSERT, map(_row, events))
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.OperationalError as error:
                self._disconnect()
                raise SinkError(f"Cannot write {self._path}: {error}. Check path, rights and space.") from error
            except sqlite3.Error as error:
                self._disconnect()
                raise SinkError(
                    f"{self._path} is no file for this sink: {error}. Name another.", retry=False
                ) from error

    def close(self) -> None:
        """Close the connection; a later ``send`` opens it again."""
        with self._lock:
            self._disconnect()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
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

    def _before_fork(self) -> None:
        self._held_for_fork = self._lock.acquire(timeout=FORK_WAIT_SECONDS)
        if self._held_for_fork:
            self._disconnect()

    def _after_fork_in_parent(self) -> None:
        if self._held_for_fork:
            self._lock.release()

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        if self._connection is not None:  # busy at the fork: even to close it here would break the parent's locks
            self._orphans.append(self._connection)
            self._connection = None


def _row(event: UsageEvent) -> tuple[object, ...]:
    return (
        event.source,
        event.id,
        event.time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        event.method,
        event.path,
        event.route,
        event.status_code,
        event.request.elapsed_time,
        event.consumer.key if event.consumer else None,
        event.api,
        event.api_version,
        str(event.units),
        msgspec.json.encode(event).decode(),
    )
