from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw
from pymysql.err import OperationalError

from sinks.cases.base import event
from support.servers.mariadb import MariaDB, mariadb
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.events.event import Consumer, Request
from tollkeeper.sinks.mysql import MySQLSink

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def server() -> MariaDB:
    return mariadb()


@pytest.fixture
def url(server: MariaDB) -> str:
    return server.fresh_database()


@pytest.fixture
def sink(url: str) -> Iterator[MySQLSink]:
    made = MySQLSink.from_url(url)
    yield made
    made.close()


def ask(url: str, *queries: str) -> list[tuple[Any, ...]]:
    with mariadb().connect(url) as connection, connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query)
        return list(cursor.fetchall())


def test_columns_have_types_to_count_with(sink: MySQLSink, url: str) -> None:
    moment = datetime(2024, 5, 1, 14, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
    consumer = Consumer(key="ann", label="Ann")
    sink.send(
        [
            event("1", time=moment, route="/r", consumer=consumer, api="a", api_version="2", units=Decimal("2.5")),
            event("2", request=Request(elapsed_time=0.25)),
        ]
    )
    found = ask(url, "SELECT * FROM usage_events ORDER BY id")
    assert found[0][:7] == ("app", "1", datetime(2024, 5, 1, 12, 30, 0, 123_456), "GET", "/", "/r", 200)  # noqa: DTZ001 - MySQL's have no zone
    assert found[0][8:12] == ("ann", "a", "2", Decimal("2.5"))
    assert found[1][5:12] == (None, 200, 0.25, None, None, None, Decimal(1))
    assert ask(url, "SELECT JSON_VALUE(document, '$.consumer.label') FROM usage_events WHERE id = '1'") == [("Ann",)]
    assert {
        name
        for *_, name in ask(
            url, "SELECT 1, index_name FROM information_schema.statistics WHERE table_schema = database()"
        )
    } == {"PRIMARY", "usage_events_time"}


def test_the_table_is_of_unicode_that_tells_all_keys_apart(sink: MySQLSink, url: str) -> None:
    sink.send([event("1")])
    query = "SELECT table_collation FROM information_schema.tables WHERE table_schema = database()"
    assert ask(url, query) in ([("utf8mb4_nopad_bin",)], [("utf8mb4_0900_bin",)])  # MariaDB's name, and MySQL's


def test_another_table_in_another_database_with_a_name_to_be_quoted(server: MariaDB, url: str) -> None:
    other = server.fresh_database()
    name = other.rpartition("/")[2]
    sink = MySQLSink(url, table=f"{name}.a `b` %s {{}} VALUES (%")
    sink.send([event("1"), event("1"), event("2")])
    sink.close()
    assert ask(other, "SELECT count(*) FROM `a ``b`` %s {} VALUES (%`") == [(2,)]


def test_a_table_that_was_dropped_is_made_again(sink: MySQLSink, url: str) -> None:
    sink.send([event("1")])
    ask(url, "DROP TABLE usage_events")
    sink.send([event("2")])
    assert ask(url, "SELECT id FROM usage_events") == [("2",)]


def test_a_user_who_may_not_make_tables_is_enough(sink: MySQLSink, url: str) -> None:
    sink.send([event("1")])
    ask(url, "CREATE USER IF NOT EXISTS writer@'127.0.0.1' IDENTIFIED BY 'w'")
    place = url.partition("@")[2]
    other = MySQLSink(f"mysql://writer:w@{place}")
    try:
        with pytest.raises(SinkError, match="denied") as caught:
            other.send([event("2")])
        assert caught.value.retry
        ask(url, "GRANT SELECT, INSERT, UPDATE ON usage_events TO writer@'127.0.0.1'")
        other.send([event("1"), event("2")])
    finally:
        other.close()
        ask(url, "DROP USER writer@'127.0.0.1'")
    assert ask(url, "SELECT count(*) FROM usage_events") == [(2,)]


def test_a_table_of_somebody_else_is_final(sink: MySQLSink, url: str) -> None:
    ask(url, "CREATE TABLE usage_events (something TEXT)")
    with pytest.raises(SinkError, match="name another table") as caught:
        sink.send([event("1")])
    assert not caught.value.retry


def test_no_value_is_cut_to_fit(sink: MySQLSink, url: str) -> None:
    sink.send([event("1"), event("2", method="M" * 40), event("3", units=Decimal(10) ** 30), event("4")])
    assert sink.rejected == 2
    assert ask(url, "SELECT id FROM usage_events ORDER BY id") == [("1",), ("4",)]


def test_an_event_that_is_larger_than_a_packet_is_refused_alone(sink: MySQLSink, url: str) -> None:
    ((packet,),) = ask(url, "SELECT @@max_allowed_packet")
    large = event("large", variables=Raw(b'"%s"' % (b"x" * packet)))
    quotes = event("quotes", variables=Raw(b'"%s"' % (b'\\"' * (packet // 4))))
    fits = event("fits", variables=Raw(b'"%s"' % (b"x" * (packet // 2))))
    sink.send([event("1"), large, event("2"), fits, quotes, event("3")])
    assert sink.rejected == 2
    assert [name for (name,) in ask(url, "SELECT id FROM usage_events ORDER BY id")] == ["1", "2", "3", "fits"]


def test_a_statement_that_waits_for_a_lock_is_given_up(url: str) -> None:
    sink = MySQLSink(url, timeout=3)
    sink.send([event("1")])
    with mariadb().connect(url) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLES usage_events WRITE")
        with pytest.raises(SinkError, match="no answer in 3 seconds") as caught:
            sink.send([event("2")])
        assert caught.value.retry
        cursor.execute("UNLOCK TABLES")
    sink.send([event("2")])
    sink.close()
    assert ask(url, "SELECT count(*) FROM usage_events") == [(2,)]


def test_a_connection_that_the_server_ended_is_made_anew(sink: MySQLSink, url: str) -> None:
    sink.send([event("1")])
    for (number,) in ask(
        url, "SELECT id FROM information_schema.processlist WHERE db = database() AND id != connection_id()"
    ):
        ask(url, f"KILL {number}")
    sink.send([event("2")])
    assert ask(url, "SELECT count(*) FROM usage_events") == [(2,)]


def test_a_server_that_goes_away_while_it_is_connected_to(
    sink: MySQLSink, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError(2013, "Lost connection")

    with monkeypatch.context() as patch:
        patch.setattr("tollkeeper.sinks.mysql._ask", fail)
        with pytest.raises(SinkError, match="Lost connection") as caught:
            sink.send([event("1")])
        assert caught.value.retry
    sink.send([event("1")])
    assert ask(url, "SELECT count(*) FROM usage_events") == [(1,)]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cret@host",
        "mysql://u:s3cret@host:port/db",
        "mysql://u:s3cret@[::1/db",
        "mysql://u:s3cret@host/db?nonsense=1",
        "mysql://u:s3cret@host/db?nonsense",
        "mysql://u:s3cret@host/db?ssl_verify_identity=perhaps",
        "postgresql://u:s3cret@host/db",
    ],
)
def test_a_url_that_cannot_be_read_is_told_without_its_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match="mysql://USER:PASSWORD@HOST:3306/DATABASE") as caught:
        MySQLSink.from_url(url)
    assert "s3cret" not in str(caught.value)


def test_what_a_url_may_say() -> None:
    sink = MySQLSink.from_url("mariadb://u%40x:p%2Fw@db.example/usage?ssl_ca=/etc/ca.pem&ssl_verify_identity=true")
    assert sink._arguments == {
        "host": "db.example",
        "port": 3306,
        "user": "u@x",
        "password": "p/w",
        "database": "usage",
        "ssl_ca": "/etc/ca.pem",
        "ssl_verify_identity": True,
    }


def test_a_server_with_small_packets_gets_small_statements(server: MariaDB, sink: MySQLSink, url: str) -> None:
    (before,) = ask(server.url, "SELECT @@global.max_allowed_packet")[0]
    ask(server.url, "SET GLOBAL max_allowed_packet = 131072")
    try:
        time = datetime(2024, 5, 1, tzinfo=UTC)
        sink.send([event(str(number), time=time, variables=Raw(b'"%s"' % (b"x" * 20_000))) for number in range(20)])
    finally:
        ask(server.url, f"SET GLOBAL max_allowed_packet = {before}")
    assert ask(url, "SELECT count(*) FROM usage_events") == [(20,)]
