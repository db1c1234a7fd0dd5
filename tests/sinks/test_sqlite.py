from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tollkeeper.errors import SinkError
from tollkeeper.events.event import Consumer, Request, UsageEvent
from tollkeeper.sinks.sqlite import SQLiteSink

if TYPE_CHECKING:
    from pathlib import Path


def event(name: str, **facts: object) -> UsageEvent:
    given = {"time": datetime(2024, 5, 1, tzinfo=UTC), "method": "GET", "path": "/", "status_code": 200} | facts
    return UsageEvent(id=name, source="app", **given)  # type: ignore[arg-type]  # a test's own fields


def rows(path: Path, query: str = "SELECT id FROM usage_events ORDER BY id") -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_columns_and_document(tmp_path: Path) -> None:
    sink = SQLiteSink(tmp_path / "u.db")
    sink.send(
        [
            event(
                "1",
                route="/r",
                consumer=Consumer(key="ann", label="Ann"),
                api="a",
                api_version="2",
                units=Decimal("2.5"),
                request=Request(elapsed_time=0.25),
            ),
            event("2"),
        ]
    )
    sink.close()
    sink.close()
    found = rows(tmp_path / "u.db", "SELECT * FROM usage_events ORDER BY id")
    assert found[0][:12] == (
        *("app", "1", "2024-05-01T00:00:00.000000Z", "GET", "/", "/r", 200, 0.25, "ann", "a", "2", 2.5),
    )
    assert found[1][5:12] == (None, 200, None, None, None, None, 1)
    query = (
        "SELECT json_extract(document, '$.consumer.label'), json_extract(document, '$.units') FROM usage_events LIMIT 1"
    )
    assert rows(tmp_path / "u.db", query) == [("Ann", "2.5")]


def test_sending_again_changes_nothing_and_close_can_be_undone(tmp_path: Path) -> None:
    sink = SQLiteSink(tmp_path / "u.db")
    sink.send([event("1"), event("2")])
    sink.close()
    sink.send([event("2", path="/other"), event("3"), event("3")])
    sink.close()
    assert rows(tmp_path / "u.db", "SELECT id, path FROM usage_events ORDER BY id") == [
        ("1", "/"),
        ("2", "/"),
        ("3", "/"),
    ]


def test_many_sinks_write_one_file(tmp_path: Path) -> None:
    def write(name: str) -> None:
        sink = SQLiteSink(tmp_path / "u.db")
        for number in range(20):
            while True:
                try:
                    sink.send([event(f"{name}-{number}")])
                    break
                except SinkError as error:
                    assert error.retry  # noqa: PT017 - it is sent again, as the queue does
        sink.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(rows(tmp_path / "u.db")) == 80


def test_a_place_that_cannot_be_written_is_retried(tmp_path: Path) -> None:
    sink = SQLiteSink(tmp_path / "later" / "u.db")
    with pytest.raises(SinkError, match="Check path") as caught:
        sink.send([event("1")])
    assert caught.value.retry
    (tmp_path / "later").mkdir()
    sink.send([event("1")])
    sink.close()
    assert rows(tmp_path / "later" / "u.db") == [("1",)]


def test_a_file_that_is_no_database_is_final(tmp_path: Path) -> None:
    (tmp_path / "u.db").write_text("this is a text file, and a long one" * 100)
    with pytest.raises(SinkError, match="Name another") as caught:
        SQLiteSink(tmp_path / "u.db").send([event("1")])
    assert not caught.value.retry


def test_an_event_that_fits_into_no_row_is_refused_alone(tmp_path: Path) -> None:
    sink = SQLiteSink(tmp_path / "u.db")
    sink.send([event("1"), event("2", method=None), event("3", status_code=2**70), event("4", api=object())])
    assert sink.rejected == 3
    sink.send([event("5")])
    sink.close()
    assert rows(tmp_path / "u.db") == [("1",), ("5",)]


def test_a_batch_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    sink = SQLiteSink(tmp_path / "u.db")
    sink.send([event("1")])
    fail = "CREATE TRIGGER t AFTER INSERT ON usage_events WHEN new.id = '3' BEGIN SELECT no_such_function(); END"
    for change in (fail, "DROP TRIGGER t"):
        with closing(sqlite3.connect(tmp_path / "u.db")) as connection:
            connection.execute(change)
        if change is fail:
            with pytest.raises(SinkError) as caught:
                sink.send([event("2"), event("3")])
            assert caught.value.retry
            assert rows(tmp_path / "u.db") == [("1",)]
    sink.send([event("4")])
    sink.close()
    assert rows(tmp_path / "u.db") == [("1",), ("4",)]


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sink = SQLiteSink("u.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sink.send([event("1")])
    sink.close()
    assert rows(tmp_path / "u.db") == [("1",)]
