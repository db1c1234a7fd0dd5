"""Each migration runs on a store with data of the schema before it, on both databases."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from support.stores import DURABLE, store_url
from tollkeeper.billing.customer import Customer
from tollkeeper.errors import ConfigurationError
from tollkeeper.events.codec import decode_batch
from tollkeeper.metering.usage import Filters, UsageQuery
from tollkeeper.store import schema
from tollkeeper.store.catalog.columns import TABLES
from tollkeeper.store.catalog.kinds import KINDS
from tollkeeper.store.engines import open_stores, upgrade_schema
from tollkeeper.store.migrations.versions import v0002_catalogue, v0004_gate, v0005_invoices
from tollkeeper.store.tags.opening import open_tags
from tollkeeper.store.tags.tag import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENTS = [
    {"id": f"e{number}", "time": "2026-05-04T10:00:00Z", "method": "GET", "path": "/a", "status_code": 200}
    for number in range(5)
]
STEPS = ["0001", "0002", "0003", "0004", "0005", schema.HEAD]
ACME = Customer(id="cus_1", name="Acme", created_at=datetime(2026, 5, 4, tzinfo=UTC))


@contextlib.contextmanager
def opened(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    yield engine
    engine.dispose()


def tables_since(step: str) -> list[str]:
    """The tables that a step of the schema and those behind it make, the last first."""
    made = []
    for upto in (step, schema.HEAD):
        engine = sa.create_engine("sqlite://")
        with engine.begin() as connection:
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", "tollkeeper:store/migrations")
            command.upgrade(config, upto)
            made.append(sa.inspect(connection).get_table_names())
        engine.dispose()
    before, after = made
    return [table for table in reversed(after) if table not in before]


@pytest.fixture(params=[(engine, step) for engine in DURABLE for step in STEPS[:-1]], ids="-".join)
def old_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store of an older schema, with events, roll-ups and a token, and a customer if it can have one."""
    engine, step = request.param
    url = store_url(engine, tmp_path)
    events, catalog = open_stores(url)
    events.append([("shop", decode_batch(msgspec.json.encode(EVENTS), source="shop"))])
    events.fold(3)
    catalog.add_token("ci", "admin", b"digest")
    with catalog.writing() as records:
        records.add(ACME)
    events.close()
    catalog.close()
    cascade = "CASCADE" if engine == "postgresql" else ""
    with opened(url) as database, database.begin() as connection:
        for table in tables_since(step):
            connection.exec_driver_sql(f'DROP TABLE "{table}" {cascade}')
        if step < "0004":
            connection.exec_driver_sql("ALTER TABLE event DROP COLUMN gated")
        connection.exec_driver_sql("DELETE FROM rollup WHERE kind = 4")
        connection.exec_driver_sql("ALTER TABLE watermark RENAME COLUMN folded TO seq")
        connection.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '{step}'")
    return url


def test_the_last_step_is_the_schema_of_this_release() -> None:
    config = Config()
    config.set_main_option("script_location", "tollkeeper:store/migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_each_step_leaves_what_is_there(old_store: str, request: pytest.FixtureRequest) -> None:
    had_catalogue = "0001" not in request.node.name
    with pytest.raises(ConfigurationError, match="tollkeeper migrate"):
        open_stores(old_store)
    upgrade_schema(old_store)
    events, catalog = open_stores(old_store)

    with catalog.reading() as records:
        for kind in KINDS:
            assert records.find(kind) == ([ACME] if kind is Customer and had_catalogue else [])
    pepper = catalog.pepper()
    assert [token.name for token in catalog.tokens()] == ["ci"]
    assert len(events.page(Filters(), before=None, after=None, limit=10)) == 5
    assert events.usage(UsageQuery(start=0, end=2**62))[0].totals.requests == 5
    assert events.backlog() == 2
    events.close()
    catalog.close()

    events, catalog = open_stores(old_store)
    assert catalog.pepper() == pepper
    events.close()
    catalog.close()

    tags = open_tags(old_store)
    tags.create(Tag(id="tag_1", name="page", created_at=ACME.created_at))
    assert tags.use([("tag_1", ACME.created_at)]) == [1]
    tags.close()


@pytest.mark.parametrize("engine", DURABLE)
def test_who_called_is_packed_as_if_it_had_always_been(engine: str, tmp_path: Path) -> None:
    url = store_url(engine, tmp_path)
    calls = [
        EVENTS[0]
        | {"id": f"call-{number}", "time": f"2026-05-{1 + number % 20:02}T{number % 7:02}:00:00Z"}
        | {"consumer": {"key": f"c{number % 1_500}"}, "status_code": 500 if number % 5 else 200, "units": number}
        for number in range(2_000)
    ]
    events, catalog = open_stores(url)
    events.append([("shop", decode_batch(msgspec.json.encode(calls), source="shop"))])
    events.fold(len(calls))
    events.close()
    catalog.close()
    packed = "SELECT * FROM rollup WHERE kind = 4 ORDER BY grain, start, consumer_id, status"
    with opened(url) as database:
        with database.begin() as connection:
            rows = [tuple(map(_comparable, row)) for row in connection.exec_driver_sql(packed)]
            connection.exec_driver_sql("DELETE FROM rollup WHERE kind = 4")
            connection.exec_driver_sql("ALTER TABLE watermark RENAME COLUMN folded TO seq")
            connection.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '0005'")
        upgrade_schema(url)
        with database.begin() as connection:
            assert [tuple(map(_comparable, row)) for row in connection.exec_driver_sql(packed)] == rows
            with pytest.raises(sa.exc.DBAPIError):  # a worker of the release before folds nothing any more
                connection.exec_driver_sql("UPDATE watermark SET seq = 1 WHERE seq = 0")
    assert len(rows) > 3 * 20


def _comparable(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value


@pytest.mark.parametrize("engine", DURABLE)
def test_the_tables_are_those_of_the_records(engine: str, tmp_path: Path) -> None:
    url = store_url(engine, tmp_path)
    events, catalog = open_stores(url)
    with opened(url) as database:
        inspector = sa.inspect(database)
        for record, table in TABLES.items():
            found = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
            optional = {
                field.name: type(None) in getattr(field.type, "__args__", ()) or "None" in str(field.type)
                for field in msgspec.structs.fields(record)
            }
            assert found == optional, table.name
    events.close()
    catalog.close()


def test_every_identity_is_one_in_the_database_too() -> None:
    indexes = " ".join(v0002_catalogue.INDEXES + v0004_gate.INDEXES + v0005_invoices.INDEXES)
    tables = v0002_catalogue.TABLES | v0004_gate.TABLES | v0005_invoices.TABLES
    for kind in KINDS.values():
        for unique in kind.unique:
            columns = [
                f"COALESCE({name}, '')" if unique.nulls_equal and f"{name}?" in tables[kind.table] else name
                for name in unique.columns
            ]
            assert f"ON {kind.table} ({', '.join(columns)})" in indexes
