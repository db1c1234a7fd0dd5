from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from sinks.cases.base import event
from support.servers.postgresql import PASSWORD, PostgreSQL, postgresql
from support.usage import full_event, make_event
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.events.event import Consumer, Request
from tollkeeper.sinks.postgresql import PostgreSQLSink
from tollkeeper.sinks.rows import COLUMNS, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def server() -> PostgreSQL:
    return postgresql()


@pytest.fixture
def url(server: PostgreSQL) -> str:
    return server.fresh_database()


@pytest.fixture
def sink(url: str) -> Iterator[PostgreSQLSink]:
    made = PostgreSQLSink.from_url(url)
    yield made
    made.close()


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def test_columns_have_types_to_count_with(sink: PostgreSQLSink, url: str) -> None:
    moment = datetime(2024, 5, 1, 12, 30, 0, 123_456, tzinfo=UTC)
    consumer, request = Consumer(key="ann", label="Ann"), Request(elapsed_time=0.25)
    full = event("1", time=moment, route="/r", consumer=consumer, api="a", api_version="2", units=Decimal("2.5"))
    sink.send([full, event("2", request=request)])
    found = ask(url, "SELECT * FROM usage_events ORDER BY id")
    assert found[0][:7] == ("app", "1", moment, "GET", "/", "/r", 200)
    assert found[0][8:12] == ("ann", "a", "2", Decimal("2.5"))
    assert found[1][5:12] == (None, 200, 0.25, None, None, None, Decimal(1))
    assert ask(url, "SELECT document->'consumer'->>'label', document->>'units' FROM usage_events WHERE id = '1'") == [
        ("Ann", "2.5")
    ]
    (indexes,) = ask(url, "SELECT array_agg(indexname ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'")
    assert indexes == (["usage_events_pkey", "usage_events_time"],)


def test_columns_hold_what_every_relational_destination_gets(sink: PostgreSQLSink, url: str) -> None:
    """The server takes them from the document, on which what is at its default is left out."""
    there = timezone(timedelta(hours=5, minutes=30))
    events = [
        full_event(),
        make_event("plain"),
        event("", source=""),
        event("far", time=datetime(9999, 12, 31, tzinfo=there), units=Decimal(0), consumer=Consumer(key="")),
        event("odd", path="/'\\\"é\u2028%s{}", request=Request(elapsed_time=5e-324)),
        event("most", units=Decimal("999999999999.999999"), request=Request(elapsed_time=86_400.000_001)),
        event("none", request=Request(elapsed_time=0.1 + 0.2)),
    ]
    sink.send(events)
    assert sink.rejected == 0
    columns = ", ".join(COLUMNS[:-1])
    found = ask(url, f"SELECT {columns}, document FROM usage_events")
    assert {row[1]: row[:-1] for row in found} == {one.id: row_of(one)[:-1] for one in events}
    assert {row[1]: row[-1] for row in found} == {one.id: one.document() for one in events}


def test_another_table_in_another_schema_with_a_name_to_be_quoted(url: str) -> None:
    ask(url, "CREATE SCHEMA \"the 'reports'\"")
    sink = PostgreSQLSink(url, table="the 'reports'.\"Usage\"; DROP {} % TABLE")
    sink.send([event("1"), event("1"), event("2")])
    sink.close()
    assert ask(url, 'SELECT count(*) FROM "the \'reports\'"."""Usage""; DROP {} % TABLE"') == [(2,)]


def test_a_table_that_was_dropped_is_made_again(sink: PostgreSQLSink, url: str) -> None:
    sink.send([event("1")])
    ask(url, "DROP TABLE usage_events")
    sink.send([event("2")])
    assert ask(url, "SELECT id FROM usage_events") == [("2",)]


def test_a_user_who_may_only_insert_is_enough(sink: PostgreSQLSink, url: str) -> None:
    sink.send([event("1")])
    ask(
        url,
        "DROP ROLE IF EXISTS writer; CREATE ROLE writer LOGIN PASSWORD 'w'; GRANT INSERT ON usage_events TO writer",
    )
    place = url.partition("@")[2]
    other = PostgreSQLSink(f"postgresql://writer:w@{place}")
    try:
        with pytest.raises(SinkError, match="permission denied") as caught:
            other.send([event("1"), event("2")])
        assert caught.value.retry
        ask(url, "GRANT SELECT (source, id) ON usage_events TO writer")  # what ON CONFLICT looks at
        other.send([event("1"), event("2")])
    finally:
        other.close()
        ask(url, "DROP OWNED BY writer; DROP ROLE writer")
    assert ask(url, "SELECT count(*) FROM usage_events") == [(2,)]


def test_a_table_of_somebody_else_is_final(sink: PostgreSQLSink, url: str) -> None:
    ask(url, "CREATE TABLE usage_events (something text)")
    with pytest.raises(SinkError, match="name another table") as caught:
        sink.send([event("1")])
    assert not caught.value.retry


def test_what_the_server_refuses_for_now_is_tried_again(sink: PostgreSQLSink, url: str) -> None:
    sink.send([event("1")])
    name = url.rpartition("/")[2]
    ask(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    sink.close()
    with pytest.raises(SinkError, match="read-only") as caught:
        sink.send([event("2")])
    assert caught.value.retry
    assert PASSWORD not in str(caught.value)


def test_a_statement_that_waits_for_a_lock_is_given_up(url: str) -> None:
    sink = PostgreSQLSink(url, timeout=3)
    sink.send([event("1")])
    with psycopg.connect(url) as blocker:
        blocker.execute("LOCK TABLE usage_events")
        with pytest.raises(SinkError, match="no answer in 3 seconds") as caught:
            sink.send([event("2")])
        assert caught.value.retry
    sink.send([event("2")])
    sink.close()
    assert ask(url, "SELECT count(*) FROM usage_events") == [(2,)]


def test_a_thread_that_is_ended_in_the_middle_leaves_no_broken_connection(
    sink: PostgreSQLSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.send([event("1")])
    with monkeypatch.context() as patch:
        patch.setattr(PostgreSQLSink, "_insert", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sink.send([event("2")])
    assert sink._connection is None
    sink.send([event("2")])


def test_a_connection_of_the_parent_is_neither_used_nor_closed_by_a_child(
    sink: PostgreSQLSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.send([event("1")])
    theirs = sink._connection
    assert theirs is not None
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        sink.send([event("2")])
        assert sink._connection is not theirs
        sink.close()
    assert not theirs.closed
    assert theirs.execute("SELECT count(*) FROM usage_events").fetchone() == (2,)
    theirs.close()


def test_an_event_of_other_types_is_refused_alone(sink: PostgreSQLSink, url: str) -> None:
    sink.send([event("1"), event("half a pair \ud83d"), event("no object", api=object()), event("2")])
    sink.send([event("no status", status_code=2**40)])
    assert sink.rejected == 3
    assert ask(url, "SELECT id FROM usage_events ORDER BY id") == [("1",), ("2",)]


def test_an_error_that_is_nobodys_is_not_hidden(sink: PostgreSQLSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostgreSQLSink, "_insert", lambda *_: (_ for _ in ()).throw(LookupError("odd")))
    with pytest.raises(LookupError, match="odd"):
        sink.send([event("1")])


def test_many_threads_with_a_sink_each_count_all_once(url: str) -> None:
    troubles: list[SinkError] = []

    def work(name: str) -> None:
        sink = PostgreSQLSink(url)
        for number in range(10):
            batch = [event(f"{name}-{number}"), *(event(f"shared-{number}-{index}") for index in range(20))]
            try:
                sink.send(batch)
            except SinkError as error:
                troubles.append(error)
        sink.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert troubles == []
    assert ask(url, "SELECT count(*) FROM usage_events") == [(4 * 10 + 10 * 20,)]


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:s3cret@host:port/db?nonsense=1", "postgresql://u:s3cret@[::1/db", "postgresql://%zz:s3cret@h/d"],
)
def test_a_url_that_cannot_be_read_is_told_without_its_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://USER:PASSWORD@HOST:5432/DATABASE") as caught:
        PostgreSQLSink.from_url(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
