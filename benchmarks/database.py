"""An empty database on the PostgreSQL that the environment names."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HOW_TO_GET_POSTGRESQL", "VARIABLE", "database"]

VARIABLE = "TOLLKEEPER_TEST_POSTGRESQL"
HOW_TO_GET_POSTGRESQL = f"not run: name a PostgreSQL whose user may create databases in {VARIABLE}"
DATABASE = "tollkeeper_benchmark"


@contextmanager
def database(address: str) -> Iterator[str]:
    """Make an empty database on the server at an address, and drop it in the end; gives its URL."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE}")
        yield urlsplit(address)._replace(path=f"/{DATABASE}").geturl()
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
