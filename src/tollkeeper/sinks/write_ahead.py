"""Bring a SQLite file into the mode in which readers go on while there is a writer."""

from __future__ import annotations

import sqlite3
import time

__all__ = ["use_write_ahead_log"]

RETRY_SECONDS = 0.01


def use_write_ahead_log(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch to the write-ahead log, and wait for others who do the same to a new file.

    Raises:
        sqlite3.Error: it cannot be done, or not within ``busy_seconds``.
    """
    until = time.monotonic() + busy_seconds
    while True:
        try:
            # On a new file, this does not wait for another process that does the same, whatever the timeout.
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            return
