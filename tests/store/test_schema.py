"""A store has the schema of this release, or it is not opened."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask

from support.stores import DURABLE, bare_url
from tollkeeper.embedded import embed
from tollkeeper.errors import ConfigurationError, NotFoundError, StoreError
from tollkeeper.service.migration import migrate, plan_migration
from tollkeeper.settings import Settings
from tollkeeper.store import schema
from tollkeeper.store.engines import open_stores, schema_of
from tollkeeper.store.schema import HEAD

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=DURABLE)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return bare_url(request.param, tmp_path)


def make(url: str) -> None:
    for part in open_stores(url):
        part.close()


def pretend(url: str, step: str) -> None:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE tollkeeper_version SET version_num = '{step}'")
    engine.dispose()


def test_an_empty_store_is_made_at_once_and_by_one_of_many(url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(make, [url] * 4)) == [None] * 4
    assert schema_of(url).step == HEAD
    assert plan_migration(Settings(store=url)).steps == {}
    assert migrate(Settings(store=url)).steps == {}


def test_what_is_missing_is_said_where_it_must_be_there(url: str) -> None:
    with pytest.raises(NotFoundError, match=r"no store at|store is empty"):
        open_stores(url, make=False)


@pytest.mark.parametrize("upgrade", [False, True])
def test_a_later_schema_is_refused(url: str, upgrade: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    make(url)
    pretend(url, "9999")

    with pytest.raises(ConfigurationError, match="schema 9999"):
        open_stores(url, upgrade=upgrade)
    with pytest.raises(ConfigurationError, match="schema 9999"):
        schema_of(url)


def test_an_older_schema_is_refused_with_the_command_that_helps(url: str) -> None:
    make(url)
    pretend(url, "0001")

    with pytest.raises(ConfigurationError, match=f"schema 0001, this release needs {HEAD}.*'tollkeeper migrate'"):
        open_stores(url)
    plan = plan_migration(Settings(store=url))
    assert plan.step == "0001"
    assert list(plan.steps) == [f"{step:04}" for step in range(2, int(HEAD) + 1)]
    assert all(title.endswith(".") for title in plan.steps.values())


def test_a_database_with_tables_of_somebody_else_is_left_as_it_is(tmp_path: Path) -> None:
    url = bare_url("postgresql", tmp_path)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE consumer (name TEXT)")

    with pytest.raises(StoreError, match='"consumer" already exists'):
        open_stores(url)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('source')").fetchall() == [(None,)]
    assert schema_of(url).step is None


def test_an_app_brings_its_own_file_to_this_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = bare_url("sqlite", tmp_path)
    make(url)
    pretend(url, "0001")
    monkeypatch.setattr(
        schema,
        "_upgrade",
        lambda connection: connection.exec_driver_sql(f"UPDATE tollkeeper_version SET version_num = '{HEAD}'"),
    )
    embed(Flask("shop"), store=url).close()

    assert schema_of(url).step == HEAD
