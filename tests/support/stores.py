"""A new store on each engine, for the tests that all engines must pass."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg

from support.servers.postgresql import postgresql
from tollkeeper.store.engines import upgrade_schema

__all__ = ["DURABLE", "ENGINES", "bare_url", "empty", "run_sql", "store_url"]

DURABLE = ["sqlite", "postgresql"]
ENGINES = ["memory", *DURABLE]
TABLES = "source, route, consumer, event, event_identity, ledger, rollup"


def bare_url(engine: str, folder: Path) -> str:
    """The URL of a store that is still to be made; skips where there is no PostgreSQL."""
    if engine == "postgresql":
        return postgresql().fresh_database()
    return "memory:" if engine == "memory" else f"sqlite:///{folder}/store.db"


def store_url(engine: str, folder: Path) -> str:
    """The URL of a new store with its tables: a copy, ten times as fast as to make them; skips as ``bare_url``."""
    if engine == "postgresql":
        return postgresql().fresh_database(like=_database())
    url = bare_url(engine, folder)
    if engine == "sqlite":
        with (folder / "store.db").open("xb") as file:
            file.write(_file())
    return url


@cache
def _database() -> str:
    """The name of a database with the tables and nothing else."""
    url = postgresql().fresh_database()
    upgrade_schema(url)
    return urlsplit(url).path[1:]


@cache
def _file() -> bytes:
    """A SQLite file of the same kind."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        path.touch()
        upgrade_schema(f"sqlite:///{path}")
        return path.read_bytes()


def empty(url: str) -> None:
    """Take all events out of a PostgreSQL store, which is faster than to make another one."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {TABLES} RESTART IDENTITY")
        connection.execute("UPDATE position SET seq = 0")
        connection.execute("UPDATE watermark SET folded = 0")


def run_sql(url: str, statement: str) -> None:
    """Change a store behind its back."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as file:
            file.execute(statement)
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
