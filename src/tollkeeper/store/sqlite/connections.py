"""Connections to one SQLite file: a single writer, and as many readers as read at once."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import StoreError
from tollkeeper.metering.sketch import merge_sketches
from tollkeeper.store.sql.gate import Gate, check_usable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["BUSY_SECONDS", "Connections", "use_write_ahead_log"]

BUSY_SECONDS = 30.0
CACHE_KIB = 64 * 1024
RETRY_SECONDS = 0.02


class Connections:
    """Opens as many connections as are used at once, and closes all of them at the end.

    ``write`` and ``read`` are transactions: the first holds SQLite's only write lock, the second sees one snapshot.
    ``appending`` is for who must not be disturbed between two transactions. A fork finds all connections closed, and
    they open again on either side: SQLite's locks do not pass to a child, which would believe that it holds them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lost: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self.appending, self._write_lock = threading.Lock(), threading.Lock()
        self._gate = Gate(f"The SQLite file {path}", close_all=self._close_all, abandon=self._abandon, library=True)
        with self.read():  # fails here and now, if it does
            pass

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is durable when the block ends, and absent when it raises."""
        with self._write_lock, self._gate.passage():
            self._writer = self._writer or self._open()
            with _transaction(self._writer, "BEGIN IMMEDIATE"):
                yield self._writer

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent snapshot; the writer is not held up."""
        with self._gate.passage():
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._open()
            try:
                with _transaction(connection, "BEGIN"):
                    yield connection
            finally:
                self._idle.append(connection)

    def close(self) -> None:
        """Close every connection, when the transactions under way have ended; idempotent."""
        self._gate.close(BUSY_SECONDS)

    def _abandon(self) -> None:
        # What was busy at a fork is the parent's. Even to close it here would break the parent's locks.
        self._lost += [*self._idle, *([self._writer] if self._writer else [])]
        self._idle, self._writer = [], None
        self.appending, self._write_lock = threading.Lock(), threading.Lock()

    def _close_all(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        while self._idle:
            self._idle.pop().close()

    def _open(self) -> sqlite3.Connection:
        check_usable()
        try:
            connection = sqlite3.connect(
                self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
            )
        except sqlite3.Error as error:
            raise StoreError(f"Cannot open the SQLite file {self._path}: {error}.") from error
        try:
            use_write_ahead_log(connection)
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(f"Cannot open the SQLite file {self._path}: {error}.") from error
        aggregate: Any = _SketchAggregate  # bytes, of which the stub knows nothing
        connection.create_aggregate("merge_all_sketches", 1, aggregate)
        return connection


def use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Make a connection's commits durable, in the log that lets readers go on while there is a writer."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            # On a new file, this does not wait for another process that does the same, whatever the timeout.
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            break
    connection.execute("PRAGMA synchronous = FULL")


class _SketchAggregate:
    def __init__(self) -> None:
        self._sketches: list[bytes] = []

    def step(self, sketch: bytes) -> None:
        self._sketches.append(sketch)

    def finalize(self) -> bytes:
        return merge_sketches(self._sketches)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    try:
        connection.execute(begin)
        try:
            yield
        except BaseException:
            connection.rollback()
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.rollback()
        raise StoreError(f"The SQLite store failed: {error}.") from error
