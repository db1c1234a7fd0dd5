"""From the URL of a store to its engine, with the schema of this release."""

from __future__ import annotations

import contextlib
import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from tollkeeper.errors import ConfigurationError, MissingDependencyError, NotFoundError, StoreError, TollkeeperError
from tollkeeper.store.catalog.credentials import SQLCatalog
from tollkeeper.store.memory import MemoryCatalog, MemoryEventStore
from tollkeeper.store.schema import prepare_schema, read_schema
from tollkeeper.store.sole import SoleLeadership
from tollkeeper.store.sql.gate import unforked
from tollkeeper.store.sqlite.connections import Connections
from tollkeeper.store.sqlite.engine import make_engine
from tollkeeper.store.sqlite.events import SQLiteEventStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tollkeeper.store.protocols import EventStore, Leadership
    from tollkeeper.store.schema import Schema

__all__ = ["open_leadership", "open_stores", "schema_of", "shown_url", "upgrade_schema"]

SQLITE = "sqlite:///"
POSTGRESQL = ("postgresql://", "postgres://")
MEMORY = "memory:"


def open_stores(url: str, *, make: bool = True, upgrade: bool = False) -> tuple[EventStore, SQLCatalog | MemoryCatalog]:
    """Open ``sqlite:///PATH`` (absolute with four slashes), ``postgresql://…`` or ``memory:``.

    Raises:
        ConfigurationError: the URL is none of these, or the schema is not this release's and ``upgrade`` is not said.
        NotFoundError: there is no store yet, and ``make`` is not said.
        StoreError: the engine cannot be reached.
    """
    if url == MEMORY:
        return MemoryEventStore(), MemoryCatalog()
    engine = _open_engine(url, make=make)
    with _failing(url, engine):
        if url.startswith(SQLITE):
            _path(url).touch(mode=0o600)  # what is captured is nobody else's to read
        prepare_schema(engine, make=make, upgrade=upgrade)
    if url.startswith(SQLITE):
        return SQLiteEventStore(Connections(_path(url))), SQLCatalog(engine)
    from tollkeeper.store.postgresql.connections import Connections as Pool  # noqa: PLC0415  # needs its driver
    from tollkeeper.store.postgresql.events import PostgreSQLEventStore  # noqa: PLC0415  # the same

    return PostgreSQLEventStore(Pool(url)), SQLCatalog(engine)


def schema_of(url: str) -> Schema:
    """The schema that a store has and the steps that it lacks; raises as ``open_stores`` does, without ``make``."""
    engine = _open_engine(url, make=False)
    with _failing(url, engine):
        schema = read_schema(engine)
    engine.dispose()
    return schema


def upgrade_schema(url: str) -> None:
    """Bring a store that exists, or an empty database, to the schema of this release; raises as ``open_stores``."""
    engine = _open_engine(url, make=False)
    with _failing(url, engine):
        prepare_schema(engine, make=True, upgrade=True)
    engine.dispose()


@contextlib.contextmanager
def _failing(url: str, engine: Engine) -> Iterator[None]:
    """Says which store it is that fails, and closes its engine then. A fork waits for the block."""
    try:
        with unforked(library=url.startswith(SQLITE)):
            yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        engine.dispose()
        raise StoreError(
            f"Cannot open {shown_url(url)} as a store: {getattr(error, 'orig', error)}. Name another with --store."
        ) from error
    except TollkeeperError:
        engine.dispose()
        raise


def _open_engine(url: str, *, make: bool) -> Engine:
    """SQLAlchemy's engine for the store at a URL, whatever its schema; it connects at its first use.

    Raises ConfigurationError as ``open_stores`` does, and NotFoundError for a file that is missing and not to be made.
    """
    if url.startswith(POSTGRESQL):
        _require_driver()
        from tollkeeper.store.postgresql.engine import make_engine as make_pool  # noqa: PLC0415  # needs its driver

        return make_pool(url)
    if not url.startswith(SQLITE) or url == SQLITE:
        raise ConfigurationError(
            f"The store {url.partition('//')[0]!r} is not known: give sqlite:///PATH, e.g. sqlite:///tollkeeper.db, "
            "or postgresql://USER@HOST/DATABASE."
        )
    path = _path(url)
    if not make and not path.exists():
        raise NotFoundError(
            f"There is no store at {path}: name it with --store or TOLLKEEPER_STORE; 'tollkeeper serve' makes one."
        )
    if not path.parent.is_dir():
        raise ConfigurationError(f"The folder {path.parent} of the store does not exist: make it, or name another one.")
    return make_engine(path)


def open_leadership(url: str) -> Leadership:
    """What decides which of the nodes on a store leads."""
    if not url.startswith(POSTGRESQL):
        return SoleLeadership()
    _require_driver()
    from tollkeeper.store.postgresql.leadership import PostgreSQLLeadership  # noqa: PLC0415  # needs its driver

    return PostgreSQLLeadership(url)


def shown_url(url: str) -> str:
    """The URL of a store as it may be printed: without a password."""
    if not url.startswith(POSTGRESQL):
        return url
    _require_driver()
    from tollkeeper.store.postgresql.sessions import without_password  # noqa: PLC0415  # needs its driver

    return without_password(url)


def _path(url: str) -> Path:
    return Path(url.removeprefix(SQLITE))


def _require_driver() -> None:
    if find_spec("psycopg") is None:
        raise MissingDependencyError("psycopg is not installed. Run: pip install 'tollkeeper[server,postgresql]'")
