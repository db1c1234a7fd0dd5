"""Connections to one SQLite file: a single writer, and a reader for each thread."""

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
    """Opens what a thread needs and closes all of it at the end.

    ``write`` and ``read`` are transactions: the first holds SQLite's only write lock, the second sees one snapshot.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._write_lock = threading.Lock()
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._writer = self._open()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is durable when the block ends, and absent when it raises."""
        with self._write_lock, _transaction(self._writer, "BEGIN IMMEDIATE"):
            yield self._writer

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent snapshot; the writer is not held up."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if not self._opened:
            raise StoreError(f"The SQLite file {self._path} is closed.")
        if connection is None:
            connection = self._local.connection = self._open()
        with _transaction(connection, "BEGIN"):
            yield connection

    def close(self) -> None:
        """Close the connections of all threads; idempotent."""
        with self._write_lock:
            while self._opened:
                self._opened.pop().close()
            self._local = threading.local()

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
        self._opened.append(connection)
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
