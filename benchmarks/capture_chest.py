"""Three variables of each request into a SQLite file: Flask-Chest, and what takes its place."""

from __future__ import annotations

import importlib
import sqlite3
import time
from contextlib import closing
from functools import wraps
from typing import TYPE_CHECKING, Any

from flask import g

from benchmarks.capture_app import Watched, make_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["flask_chest", "tollkeeper_chest"]

TRACKED = {"POST": ["user_id", "session_id", "total_time"]}


def flask_chest(folder: Path) -> Watched:
    """As it comes: a connection and a transaction for each variable, in SQLite's rollback journal."""
    return _watch(folder, "flask_chest.decorator", "flask_chest")


def tollkeeper_chest(folder: Path, *, synchronous: str = "NORMAL") -> Watched:
    """A transaction for each request in SQLite's WAL; with FULL it is on disk before the answer."""
    ours = "tollkeeper.compat.flask_chest"
    return _watch(folder, ours, ours, synchronous=synchronous)


def _watch(folder: Path, of_decorator: str, of_chests: str, **options: str) -> Watched:
    file = folder / "chest.db"
    chest = importlib.import_module(of_chests).FlaskChestSQLite(None, db_uri=str(file), **options)
    track = importlib.import_module(of_decorator).flask_chest(chests=[chest], tracked_vars=TRACKED)

    def recorded() -> int:
        with closing(sqlite3.connect(file)) as connection:
            rows = connection.execute("SELECT COUNT(*) FROM flask_chest").fetchone()[0]
        return int(rows) // len(TRACKED["POST"])

    return Watched(make_app(lambda view: track(_noting(view))), recorded)


def _noting(view: Callable[..., Any]) -> Callable[..., Any]:
    """Leave on ``g`` what the documentation of Flask-Chest has in its example."""

    @wraps(view)
    def call(*args: Any, **kwargs: Any) -> Any:
        g.start = time.time()
        g.user_id = "123"
        g.session_id = "abc"
        answer = view(*args, **kwargs)
        g.total_time = time.time() - g.start
        return answer

    return call
