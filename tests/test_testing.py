from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import pytest

import tollkeeper
from tollkeeper.errors import SinkError
from tollkeeper.events.event import UsageEvent
from tollkeeper.flask import Tollkeeper
from tollkeeper.sinks.collector import CollectorSink
from tollkeeper.testing import FakeCollector, FrozenClock, MemorySink, capture_events, frozen_clock
from tollkeeper.wsgi import Tollkeeper as WSGIDoor


def make_app(name: str = "shop", **options: Any) -> tuple[flask.Flask, Tollkeeper]:
    app = flask.Flask(name)

    @app.get("/users/<int:number>")
    def user(number: int) -> dict[str, int]:
        if number == 13:
            tollkeeper.skip()
        return {"id": number}

    return app, Tollkeeper(app, **({"sink": MemorySink()} | options))


def get(app: flask.Flask, path: str) -> None:
    with app.test_client().get(path):
        pass


def test_events_of_what_runs_inside_are_there_at_once_and_go_nowhere_else() -> None:
    app, keeper = make_app(exclude=[404])
    get(app, "/users/1")
    with capture_events() as events:
        assert events == []
        get(app, "/users/2")
        assert [event.path for event in events] == ["/users/2"]
        assert events[0].route == "/users/{number}"
        get(app, "/users/13")
        get(app, "/nowhere")
    get(app, "/users/3")
    assert [event.path for event in events] == ["/users/2"]
    assert keeper.close(5)
    assert [event.path for event in keeper.sink.events] == ["/users/1", "/users/3"]
    assert keeper.stats().captured == 2


@pytest.mark.parametrize("which", ["door", "app"])
def test_only_the_events_of_one_app(which: str) -> None:
    app, keeper = make_app()
    other, other_keeper = make_app("other")
    with capture_events({"door": keeper, "app": app}[which]) as events:
        get(app, "/users/1")
        get(other, "/users/2")
    assert [event.source for event in events] == ["shop"]
    assert other_keeper.flush(5)
    assert [event.path for event in other_keeper.sink.events] == ["/users/2"]


def test_doors_that_are_made_inside_are_captured_too() -> None:
    with capture_events() as events:
        app, _ = make_app()
        get(app, "/users/1")
    assert len(events) == 1


def test_blocks_may_stand_in_one_another() -> None:
    app, _ = make_app()
    with capture_events() as outer:
        get(app, "/users/1")
        with capture_events() as inner:
            get(app, "/users/2")
        get(app, "/users/3")
    assert [event.path for event in outer] == ["/users/1", "/users/3"]
    assert [event.path for event in inner] == ["/users/2"]


@pytest.mark.parametrize("what", [flask.Flask("bare"), object(), Tollkeeper()], ids=["app", "object", "door"])
def test_what_records_nothing_is_told(what: object) -> None:
    with pytest.raises(TypeError, match="records nothing"), capture_events(what):
        pass


def test_a_frozen_clock_is_the_time_of_events_and_of_durations() -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    app = flask.Flask("clocked")
    clocks: list[FrozenClock] = []

    @app.get("/slow")
    def slow() -> str:
        clocks[0].tick(0.25)
        return "slow"

    keeper = Tollkeeper(app, sink="memory:")
    with frozen_clock(moment) as clock, capture_events() as events:
        clocks.append(clock)
        get(app, "/slow")
        clock.tick(60)
        get(app, "/nowhere")
        assert clock.now == moment + timedelta(seconds=60.25)
    first, second = events
    assert (first.time, first.request.elapsed_time, first.response.first_byte_time) == (moment, 0.25, 0.25)
    assert (second.time, second.request.elapsed_time) == (moment + timedelta(seconds=60.25), 0)
    get(app, "/slow")
    assert keeper.flush(5)
    (after,) = keeper.sink.events
    assert after.time > moment + timedelta(days=1)


def test_a_frozen_clock_without_a_zone_is_utc_and_keeps_what_has_no_answer() -> None:
    def answer(_environ: Any, start: Any) -> list[bytes]:
        start("204 No Content", [])
        return []

    door = WSGIDoor(answer, sink="memory:")
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "x", "SERVER_PORT": "80"}
    with frozen_clock(datetime(2026, 1, 2)) as clock, capture_events(door) as events:  # noqa: DTZ001 - on purpose
        result: Any = door(environ, lambda *_: lambda _data: None)
        assert list(result) == []
        result.close()
    assert events[0].time == clock.now == datetime(2026, 1, 2, tzinfo=UTC)
    assert events[0].response.first_byte_time is None


def batch(*names: str) -> list[UsageEvent]:
    now = datetime.now(UTC)
    return [UsageEvent(id=name, source="s", time=now, method="GET", path="/", status_code=200) for name in names]


def test_a_fake_collector_takes_events_as_the_service_does() -> None:
    with FakeCollector(token="right") as collector:
        sink = CollectorSink(collector.url, token="right")
        sink.send(batch("a", "b"))
        sink.send(batch("b", "c"))
        sink.close()
        stranger = CollectorSink(collector.url, token="wrong")
        with pytest.raises(SinkError, match="401"):
            stranger.send(batch("d"))
        stranger.close()
    assert [event.id for event in collector.received] == ["a", "b", "b", "c"]
    assert [event.id for event in collector.events] == ["a", "b", "c"]
    assert collector.requests == 3


def test_what_it_rejects_it_counts() -> None:
    wrong = UsageEvent(id="w", source="s", time=datetime.now(UTC), method="GET", path="/", status_code=20)
    with FakeCollector() as collector:
        sink = CollectorSink(collector.url)
        sink.send([*batch("a"), wrong])
        assert sink.rejected == 1
        sink.close()
    assert [event.id for event in collector.events] == ["a"]


@pytest.mark.parametrize("answer", [429, 503, 500, "drop", "garbage", "lose"])
def test_its_answers_are_given_in_turn(answer: Any) -> None:
    with FakeCollector(answer) as collector:
        sink = CollectorSink(collector.url)
        with pytest.raises(SinkError) as caught:
            sink.send(batch("a"))
        assert caught.value.retry
        assert caught.value.retry_after == (0 if answer in {429, 503} else None)
        assert len(collector.received) == (answer == "lose")
        sink.send(batch("a"))
        sink.close()
    assert [event.id for event in collector.events] == ["a"]


def test_it_may_be_stopped_and_started_again_in_the_middle() -> None:
    with FakeCollector() as collector:
        sink = CollectorSink(collector.url, timeout=5)
        sink.send(batch("a"))
        address = collector.url
        collector.stop()
        with pytest.raises(SinkError):
            sink.send(batch("b"))
        collector.stop()
        collector.start()
        sink.send(batch("a", "b"))
        sink.close()
    assert collector.url == address
    assert [event.id for event in collector.received] == ["a", "a", "b"]


def test_it_hangs_until_its_end() -> None:
    with FakeCollector("hang") as collector, pytest.raises(SinkError):
        CollectorSink(collector.url, timeout=0.2).send(batch("a"))
    assert collector.events == []


@pytest.mark.parametrize(("path", "body", "status"), [("/v1/other", b"[]", 404), ("/v1/events", b"{", 400)])
def test_what_the_service_refuses_it_refuses(path: str, body: bytes, status: int) -> None:
    with FakeCollector() as collector:
        request = urllib.request.Request(collector.url + path, body, {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request, timeout=5):
            pass
        caught.value.close()
        assert caught.value.code == status
