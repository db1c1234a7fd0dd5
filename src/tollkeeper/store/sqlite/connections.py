"""Connections to one SQLite file: a single writer, and as many readers as read at once."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

from tollkeeper.errors import StoreError
from tollkeeper.metering.sketch import merge_sketches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Connections"]

BUSY_SECONDS = 30.0
CACHE_KIB = 64 * 1024


class _SketchAggregate:
    def __init__(self) -> None:
        self._sketches: list[bytes] = []

    def step(self, sketch: bytes) -> None:
        self._sketches.append(sketch)

    def finalize(self) -> bytes:
        return merge_sketches(self._sketches)


class Connections:
    """Opens as many connections as are used at once, and closes all of them at the end.

    ``write`` and ``read`` are transactions: the first holds SQLite's only write lock, the second sees one snapshot.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._write_lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._writer = self._open()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is durable when the block ends, and absent when it raises."""
        with self._write_lock, _transaction(self._writer, "BEGIN IMMEDIATE"):
            yield self._writer

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent snapshot; the writer is not held up."""
        if self._closed:
            raise StoreError(f"The SQLite file {self._path} is closed.")
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._open()
        try:
            with _transaction(connection, "BEGIN"):
                yield connection
        finally:
            self._release(connection)

    def close(self) -> None:
        """Close every connection, those in use as soon as they are not; idempotent."""
        with self._write_lock:
            self._closed = True
            self._writer.close()
            self._close_idle()

    def _release(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._closed:
            self._close_idle()

    def _close_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        except sqlite3.Error as error:
            raise StoreError(f"Cannot open the SQLite file {self._path}: {error}.") from error
        connection.create_function("merge_sketches", 2, lambda one, two: merge_sketches((one, two)), deterministic=True)
        connection.create_aggregate("merge_all_sketches", 1, _SketchAggregate)  # type: ignore[arg-type]  # str only in stubs
        return connection


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
