"""Several extensions on one app, as while an app moves from one to the other: each records for itself."""

from __future__ import annotations

import gc
import itertools
import logging
import sqlite3
import threading
import weakref
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, g, request
from werkzeug.test import create_environ

import tollkeeper
from support.readme import ReadMe
from tollkeeper.capture import wsgi_watch
from tollkeeper.compat.flask_api_usage import Usage
from tollkeeper.compat.flask_chest import FlaskChestSQLite, flask_chest
from tollkeeper.compat.readme_metrics import MetricsApiConfig, ReadMeMetrics
from tollkeeper.flask import Tollkeeper
from tollkeeper.log import QuietLog
from tollkeeper.sinks.memory import MemorySink
from tollkeeper.testing import capture_events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDERS = list(itertools.permutations(["tollkeeper", "usage", "readme"]))
BODY = {"items": ["tea"], "password": "hunter2"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadMe]:
    made = ReadMe()
    monkeypatch.setenv("README_METRICS_SERVER", made.url)
    yield made
    made.stop()


def skipped() -> str:
    tollkeeper.skip()
    return ""


def boom(*_: object) -> str:
    raise KeyError(17)


class All:
    """An app with each of them, set up in an order."""

    def __init__(self, order: tuple[str, ...], chest: FlaskChestSQLite) -> None:
        self.app = Flask("shop")
        self.app.config["USAGE_STORAGE_URI"] = "memory:"
        self.app.config["USAGE_REDACT"] = False
        self.app.add_url_rule("/orders/<int:number>", view_func=self._view(chest), methods=["POST"])
        self.app.add_url_rule("/skipped", view_func=skipped)
        self.app.add_url_rule("/boom", view_func=boom)
        self.sink = MemorySink()
        self.ids: list[str] = []
        for name in order:
            getattr(self, f"_{name}")()

    def _tollkeeper(self) -> None:
        self.keeper = Tollkeeper(self.app, sink=self.sink, identify=lambda asked: asked.headers.get("X-Key"))

    def _usage(self) -> None:
        self.usage = Usage(self.app)

    def _readme(self) -> None:
        config = MetricsApiConfig("key", lambda _: {"api_key": "abcdefgh"}, buffer_length=4)
        self.metrics = ReadMeMetrics(config, self.app)

    def _view(self, chest: FlaskChestSQLite) -> Any:
        @flask_chest([chest], {"POST": ["lines"]})
        def view(number: int) -> dict[str, int]:
            tollkeeper.set_units(number)
            exchange = tollkeeper.current()
            self.ids.append("" if exchange is None else exchange.id)
            g.lines = len(request.get_json()["items"])
            return {"lines": g.lines}

        return view

    def use(self) -> list[int]:
        client = self.app.test_client()
        post = client.post("/orders/3", json=BODY, headers={"X-Key": "ann"}, buffered=True)
        assert post.json == {"lines": 1}
        paths = ("/boom", "/nothing", "/skipped")
        return [post.status_code] + [client.get(path, buffered=True).status_code for path in paths]

    def close(self) -> None:
        assert self.keeper.close(5)
        assert self.usage.keeper is not None
        assert self.usage.keeper.close(5)
        assert self.metrics.close(5)


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_each_records_every_request_for_itself(order: tuple[str, ...], service: ReadMe, tmp_path: Path) -> None:
    chest = FlaskChestSQLite(db_uri=tmp_path / "chest.db")
    made = All(order, chest)
    assert made.use() == [200, 500, 404, 200]
    made.close()
    chest.close()
    seen = [(event.route, event.status_code, event.exception) for event in made.sink.events]
    expected = [("/orders/{number}", 200, None), ("/boom", 500, "KeyError(17)"), ("(unmatched)", 404, None)]
    assert seen == expected
    assert made.usage.keeper is not None
    stored = made.usage.keeper.sink.events
    assert [(event.route, event.status_code, event.exception) for event in stored] == expected
    statuses = [log["request"]["log"]["entries"][0]["response"]["status"] for log in service.wait(3)]
    assert statuses == [200, 500, 404]
    ours, theirs = made.sink.events[0], stored[0]
    assert ours.units == theirs.units == 3
    assert (ours.consumer and ours.consumer.key, theirs.consumer) == ("ann", None)
    assert ours.document()["request"]["body"] == {**BODY, "password": "[REDACTED]"}
    assert theirs.document()["request"]["body"] == BODY
    first = ours if order.index("tollkeeper") < order.index("usage") else theirs
    assert made.ids == [first.id]
    for stats in (made.keeper.stats(), made.usage.keeper.stats()):
        assert (stats.captured, stats.sent, stats.excluded, stats.errors) == (4, 3, 1, {})
    with closing(sqlite3.connect(tmp_path / "chest.db")) as connection:
        assert connection.execute("SELECT name, value FROM flask_chest").fetchall() == [("lines", "1")]


@pytest.mark.parametrize("order", [("tollkeeper", "readme"), ("readme", "tollkeeper")], ids="-".join)
def test_the_id_in_a_view_is_that_of_the_event(order: tuple[str, ...], service: ReadMe, tmp_path: Path) -> None:
    made = All(order, FlaskChestSQLite(db_uri=tmp_path / "chest.db"))
    made.use()
    assert made.keeper.close(5)
    assert made.metrics.close(5)
    assert made.ids == [made.sink.events[0].id]
    assert len(service.logs) == 3


def test_they_share_no_spool(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    app = Flask("shop")
    app.config.update(TOLLKEEPER_SPOOL=str(spool), USAGE_STORAGE_URI="http://127.0.0.1:9")
    keepers = [Tollkeeper(app, sink="http://127.0.0.1:9"), Usage(app).keeper]
    app.test_client().get("/", buffered=True)
    for keeper in keepers:
        assert keeper is not None
        assert not keeper.flush(0.5)
        assert keeper.stats().spooled == 1
        keeper.close(0)
    assert len(list(spool.glob("*-*/*"))) >= 1, "Tollkeeper's own, in the folder of its process"
    assert len(list((spool / "flask-api-usage").iterdir())) == 1


def test_usage_without_a_storage_leaves_the_sink_to_tollkeeper(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TOLLKEEPER_SINK", f"sqlite:///{tmp_path}/usage.db")
    app = Flask("shop")
    keeper = Tollkeeper(app)
    usage = Usage(app)
    app.test_client().get("/", buffered=True)
    assert keeper.close(5)
    assert keeper.stats().sent == 1
    assert usage.keeper is not None
    assert usage.keeper.stats().captured == 0
    with closing(sqlite3.connect(tmp_path / "usage.db")) as connection:
        assert connection.execute("SELECT count(*) FROM usage_events").fetchone() == (1,)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("flask-api-usage", logging.WARNING)
    assert "USAGE_MONGODB_SETTINGS" in record.getMessage()


def test_events_of_an_app_that_has_usage_can_be_captured() -> None:
    app = Flask("shop")
    app.config["USAGE_STORAGE_URI"] = "http://127.0.0.1:9"
    usage = Usage(app)
    with capture_events(app) as events:
        app.test_client().get("/", buffered=True)
    assert [event.path for event in events] == ["/"]
    keeper = Tollkeeper(app, sink="memory:")
    with capture_events(app) as events:
        app.test_client().get("/first", buffered=True)
    assert [event.path for event in events] == ["/first"], "of its Tollkeeper, not of both"
    assert keeper.close(5)
    assert usage.keeper is not None
    usage.keeper.close(0)


def test_a_request_that_cannot_be_observed_is_answered(service: ReadMe, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask("shop")
    app.add_url_rule("/", view_func=lambda: "hello")
    metrics = ReadMeMetrics(MetricsApiConfig("key", lambda _: {"id": "abcdefgh"}), app)
    monkeypatch.setattr(wsgi_watch, "note_environ", boom)
    assert app.test_client().get("/", buffered=True).text == "hello"
    assert metrics.stats().dropped == {"error": 1}
    assert metrics.close(5)
    assert service.logs == []


class Connection:
    """What a server answers a request with."""

    def start_response(self, _status: str, _headers: list[tuple[str, str]], _error: Any = None) -> Any:
        return lambda _: None


def answered(app: Any) -> weakref.ref[Connection]:
    connection = Connection()
    result = app.wsgi_app(create_environ("/"), connection.start_response)
    assert b"".join(result) == b"hello"
    result.close()
    return weakref.ref(connection)


@pytest.mark.parametrize("last", [Tollkeeper, ReadMeMetrics])
def test_what_waits_keeps_no_connection_of_the_server(
    service: ReadMe,  # noqa: ARG001 - stands in for ReadMe
    monkeypatch: pytest.MonkeyPatch,
    last: type,
) -> None:
    may_leave = threading.Event()
    monkeypatch.setattr(MemorySink, "send", lambda *_: may_leave.wait(20) and None)
    app = Flask("shop")
    app.add_url_rule("/", view_func=lambda: "hello")
    config = MetricsApiConfig("key", lambda _: {"id": "abcdefgh"}, buffer_length=100)
    doors: list[Any] = [Tollkeeper(app, sink=MemorySink())] if last is ReadMeMetrics else []
    metrics = ReadMeMetrics(config, app)
    doors += [metrics] if doors else [metrics, Tollkeeper(app, sink=MemorySink())]
    connections = [answered(app) for _ in range(5)]
    gc.collect()
    assert [connection() for connection in connections] == [None] * 5
    assert [door.stats().queued for door in doors] == [5, 5]
    may_leave.set()
    assert all(door.close(5) for door in doors)


def test_what_is_lost_keeps_no_connection_either(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask("shop")
    app.add_url_rule("/", view_func=lambda: "hello")
    keeper = Tollkeeper(app, sink=MemorySink())
    monkeypatch.setattr(app.wsgi_app, "answering", boom)
    monkeypatch.setattr(QuietLog, "tell", lambda *_, **__: None)  # pytest keeps what is logged, and its frames
    connection = answered(app)
    gc.collect()
    assert connection() is None
    assert keeper.stats().dropped == {"error": 1}
    assert keeper.close(5)


def test_an_answer_that_a_middleware_may_still_change_is_logged_as_it_left(service: ReadMe) -> None:
    app = Flask("shop")
    app.add_url_rule("/", view_func=lambda: "hello")
    inner = app.wsgi_app

    def refusing(environ: Any, start_response: Any) -> Any:
        result: Any = inner(environ, start_response)

        def chunks() -> Any:
            result.close()
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")], (None, None, None))
            yield b"later"

        return chunks()

    app.wsgi_app = refusing  # type: ignore[method-assign]  # how Flask takes a middleware
    metrics = ReadMeMetrics(MetricsApiConfig("key", lambda _: {"id": "abcdefgh"}, buffer_length=1), app)
    statuses: list[str] = []

    def start_response(status: str, _headers: list[tuple[str, str]], _error: Any = None) -> Any:
        statuses.append(status)
        return lambda _: None

    answer: Any = app.wsgi_app(create_environ("/"), start_response)
    assert list(answer) == [b"later"]
    answer.close()
    assert metrics.close(5)
    (log,) = service.wait(1)
    assert log["request"]["log"]["entries"][0]["response"]["status"] == 503
    assert statuses == ["200 OK", "503 Service Unavailable"]
