"""A collector that fails in every way: in the queue's bounds nothing is lost or doubled, beyond them all is told."""

from __future__ import annotations

import gzip
import json
import logging
import os
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from support.hosts import Load, hosted, rows
from support.line import Call, Line
from support.requirements import require
from support.served import Served
from tollkeeper.api.app import create_app
from tollkeeper.capture.queue import Queue, QueueLimits, Stats
from tollkeeper.errors import SinkError
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.ids import new_id
from tollkeeper.log import QuietLog
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.reconcile import reconcile
from tollkeeper.settings import Settings
from tollkeeper.sinks.collector import CollectorSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)

# How long the collector is down under load; the whole minute says no more than some seconds, but is what is promised.
DOWN_SECONDS = 60.0 if os.environ.get("TOLLKEEPER_TEST_LONG") else 5.0
TIMEOUT = 0.5


class Collector:
    """A real service on a real socket, in this process."""

    def __init__(self, store: str) -> None:
        self._service = open_service(Settings(store=store))
        self.token = self._service.access.create_token("app", "ingest")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(create_app(self._service), log_level="warning", lifespan="on"))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)
        self._thread.start()

    def books(self, source: str) -> tuple[int, int]:
        """How many events of a source it stored, and how many came again."""
        (row,) = [row for row in self._service.events.ledger(recount=True) if row.source == source]
        assert row.present == row.stored
        return row.stored, row.duplicate

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._listener.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    made = Collector(f"sqlite:///{tmp_path_factory.mktemp('service')}/store.db")
    yield made
    made.close()


@pytest.fixture
def line(service: Collector) -> Iterator[Line]:
    made = Line(("127.0.0.1", service.port))
    yield made
    made.down()


def event(source: str) -> UsageEvent:
    return UsageEvent(id=new_id(), source=source, time=datetime.now(UTC), method="GET", path="/", status_code=200)


def balanced(stats: Stats) -> bool:
    return stats.captured == stats.sent + stats.queued + stats.spooled + stats.excluded + sum(stats.dropped.values())


@contextmanager
def queue(
    sink: Any, build: Callable[[Any], Any] = lambda item: item, *, patience: float = 10, **limits: Any
) -> Iterator[Queue[Any]]:
    given = {"flush_seconds": 0.02, "backoff_seconds": 0.02, "batch_events": 50} | limits
    made: Queue[Any] = Queue(build, sink.send, sink.close, QueueLimits(**given), QuietLog())
    try:
        yield made
    finally:
        made.close(patience)
        assert balanced(made.stats())
        assert made.stats().queued == 0


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def hang(call: Call) -> None:
    time.sleep(3 * TIMEOUT)
    call.cut()


def hang_but_store(call: Call) -> None:
    call.forward()
    hang(call)


def lose_the_answer(call: Call) -> None:
    call.forward()
    call.cut()


def cut_the_answer(call: Call) -> None:
    call.send(call.forward()[:-20])
    call.cut()


def drip(call: Call) -> None:
    for byte in call.forward():
        call.send(bytes([byte]))
        time.sleep(0.01)


def say(data: bytes) -> Callable[[Call], None]:
    def fault(call: Call) -> None:
        call.send(data)
        call.cut()

    return fault


def answer(status: int, body: bytes = b"", **headers: str) -> Callable[[Call], None]:
    return lambda call: call.answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def endless(call: Call) -> None:
    call.send(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(64):
        call.send(b"x" * 2**16)
    call.cut()


OK = b"HTTP/1.1 200 OK\r\n"
FAULTS: dict[str, list[Callable[[Call], None]]] = {
    "hangs": [hang],
    "hangs when it has stored": [hang_but_store],
    "loses the answer": [lose_the_answer, lose_the_answer],
    "cuts the answer": [cut_the_answer],
    "drips": [drip],
    "no HTTP": [say(b"SSH-2.0-OpenSSH_9.6\r\n"), say(b"\r\n\r\n"), say(b"\x16\x03\x01\x00\xff" * 100), say(b"")],
    "wrong lengths": [say(OK + b"Content-Length: x\r\n\r\n"), say(OK + b"Content-Length: 99\r\n\r\n{")],
    "wrong chunks": [say(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")],
    "too much": [say(OK + b"X: " + b"x" * 10**6), say(b"H" * 10**6), say(OK + b"a: b\r\n" * 999), endless],
    "garbage": [answer(200, b"<html>welcome</html>"), answer(200, b"[]"), answer(200), answer(204)],
    "a receipt of something else": [answer(202, b'{"received":1,"stored":1,"duplicate":0,"rejected":0}')],
    "429": [answer(429), answer(429, Retry_After="0"), answer(429, Retry_After="soon"), answer(429, Retry_After="-1")],
    "5xx": [answer(500), answer(502, b"<h1>Bad gateway</h1>"), answer(503, Retry_After="0"), answer(504), answer(599)],
    "408 and 425": [answer(408), answer(425)],
    "all of it": [hang_but_store, answer(500), cut_the_answer, say(b""), answer(429), lose_the_answer, answer(200)],
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_collector_that_fails_gets_each_event_once_when_it_is_well_again(
    service: Collector, line: Line, name: str
) -> None:
    line.faults = list(FAULTS[name])
    sink = CollectorSink(line.url, token=service.token, timeout=TIMEOUT)
    with queue(sink) as q:
        for _ in range(200):
            q.put(event(name), 1)
        wait_for(lambda: q.stats().sent == 200)
        stats = q.stats()
        assert stats.dropped == {}
        assert line.faults == []
        # A kept connection that is found dead is tried once more.
        failures = len(FAULTS[name])
        assert failures / 2 <= stats.retries <= failures
        assert stats.errors.get("sink", 0) == stats.retries
    stored, _ = service.books(name)
    assert stored == 200


def test_what_is_too_large_is_halved_and_what_is_sent_again_is_not_counted_again(
    service: Collector, line: Line
) -> None:
    largest = 7

    def too_large(call: Call) -> bool:
        if len(json.loads(gzip.decompress(call.body))) <= largest:
            return False
        call.answer(413)
        return True

    line.rule = too_large
    line.faults = [answer(500), lose_the_answer]
    with queue(CollectorSink(line.url, token=service.token)) as q:
        for _ in range(120):
            q.put(event("halved"), 1)
        wait_for(lambda: q.stats().sent == 120)
    stored, _ = service.books("halved")
    assert stored == 120


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited_for(service: Collector, line: Line, form: str) -> None:
    def busy(call: Call) -> None:
        # A date tells whole seconds: of two, at least one is left.
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        call.answer(429, {"Retry-After": "1" if form == "seconds" else date})

    line.faults = [busy]
    with queue(CollectorSink(line.url, token=service.token)) as q:
        for _ in range(60):  # the full batch behind the first one does not cut the wait short
            q.put(event(form), 1)
        wait_for(lambda: q.stats().sent == 60)
    assert line.times[1] - line.times[0] >= 0.99
    assert service.books(form) == (60, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_the_token(line: Line, status: int, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = Line()
    line.rule = lambda call: not answer(status, Location=f"{elsewhere.url}/v1/events")(call)
    try:
        with queue(CollectorSink(line.url, token="secret"), patience=0.2) as q:
            for _ in range(60):
                q.put(event("moved"), 1)
            wait_for(lambda: q.stats().retries)
            assert (q.stats().queued, q.stats().dropped) == (60, {})  # until somebody sets the right address
        assert elsewhere.times == []
        assert elsewhere.url in caplog.text  # where to is what the operator has to know
        assert "secret" not in caplog.text
    finally:
        elsewhere.down()


def test_a_collector_that_is_not_there_is_waited_for(service: Collector, line: Line) -> None:
    line.down()
    with queue(CollectorSink(line.url, token=service.token)) as q:
        for _ in range(300):
            q.put(event("refused"), 1)
        wait_for(lambda: q.stats().retries >= 3)
        assert q.stats().queued == 300
        line.up()
        assert q.flush(20)
        assert q.stats().sent == 300
    assert service.books("refused") == (300, 0)


def test_a_collector_that_drips_for_ever_holds_up_nobody_who_closes(line: Line) -> None:
    ending = threading.Event()

    def drip_for_ever(call: Call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\n")
        while not ending.wait(0.02):
            call.send(b"a: b\r\n"[:1])

    line.faults = [drip_for_ever] * 3
    with queue(CollectorSink(line.url, timeout=TIMEOUT), shutdown_seconds=0.3) as q:
        q.put(event("drip"), 1)
        wait_for(lambda: line.times)
        assert not q.flush(0.1)
        assert not q.close(0.3)
        assert q.stats().dropped == {"shutdown": 1}
    ending.set()


def test_a_collector_that_is_killed_under_load_and_comes_back_has_each_answer_once(tmp_path: Path) -> None:
    require("gevent", find_spec("gevent"))
    store = f"sqlite:///{tmp_path}/store.db"
    opened = open_service(Settings(store=store))
    token = opened.access.create_token("app", "ingest")
    opened.close()
    service = Served(store)
    more = {"TOLLKEEPER_SINK": service.url, "TOLLKEEPER_TOKEN": token, "TOLLKEEPER_SHUTDOWN_SECONDS": "20"}
    try:
        with (
            hosted(tmp_path, "gunicorn", "-w", "2", "-k", "gevent", "--preload", workers=2, more=more) as host,
            Load(host.port, pause=0.03) as load,  # in its time without a collector, fewer calls than a queue holds
        ):
            load.wait_for(100)
            service.kill()
            time.sleep(DOWN_SECONDS)
            load.wait_for(20)  # the app goes on
            service = Served(store, service.port)
            load.wait_for(100)
            host.stop()
            assert "lost" not in host.log
            assert "drops" not in host.log
        load.check(Counter(str(path) for (path,) in rows(tmp_path / "store.db", "SELECT path FROM event")))
        opened = open_service(Settings(store=store))
        assert reconcile(opened.events).problems == []
        opened.close()
    finally:
        service.kill()


class Slow:
    """Takes some milliseconds for a batch, is busy at times, refuses the second batch, and counts what it took."""

    def __init__(self) -> None:
        self.taken = self._calls = 0

    def send(self, events: Sequence[UsageEvent]) -> None:
        time.sleep(0.002)
        self._calls += 1
        if self._calls == 2 or self._calls % 10 == 0:
            raise SinkError("busy", retry=self._calls != 2)
        self.taken += len(events)

    def close(self) -> None:
        pass


def build_some(number: int) -> UsageEvent | None:
    if number % 10 == 1:
        raise ValueError(number)
    return None if number % 10 == 2 else event("full")


def hammer(q: Queue[int], count: int) -> None:
    for number in range(count):
        if number % 10 == 3:
            q.exclude()
        elif number % 10 == 4:
            q.lost("error")
        else:
            q.put(number, 100)


@pytest.mark.parametrize("bound", [{"events": 100}, {"bytes": 10_000}], ids=["events", "bytes"])
def test_when_it_is_full_eight_threads_are_counted_to_the_event(bound: dict[str, int]) -> None:
    sink, seen, ending = Slow(), [], threading.Event()

    def watch(q: Queue[int]) -> None:
        while not ending.is_set():
            seen.append(q.stats())

    with queue(sink, build_some, **bound) as q:
        threads = [threading.Thread(target=hammer, args=(q, 3000)) for _ in range(8)]
        watcher = threading.Thread(target=watch, args=(q,))
        for thread in [watcher, *threads]:
            thread.start()
        for thread in threads:
            thread.join()
        assert q.flush(20)
        ending.set()
        watcher.join()
        stats = q.stats()
    (reason,) = (f"queue_{name}" for name in bound)
    assert [strange for strange in seen if not balanced(strange) or strange.queued > 100] == []
    assert (stats.captured, stats.sent, stats.queued) == (8 * 3000, sink.taken, 0)
    assert stats.dropped.keys() == {reason, "sink", "error"}
    assert stats.dropped[reason] > 1000  # it was full indeed
    assert stats.dropped["error"] > 8 * 300
    assert stats.excluded > 8 * 300


@pytest.mark.parametrize("jump", [-1e9, -3600.0, 3600.0, 1e9])
def test_a_clock_that_jumps_neither_stops_nor_hurries_delivery(
    line: Line, service: Collector, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    real = time.time
    line.faults = [answer(503)]
    name = f"jump {jump}"
    with queue(CollectorSink(line.url, token=service.token), backoff_seconds=0.2) as q:
        for number in range(100):
            if number == 50:
                monkeypatch.setattr(time, "time", lambda: real() + jump)
            q.put(event(name), 1)
        wait_for(lambda: q.stats().sent == 100, 10)
        assert q.stats().retries == 1
    assert line.times[1] - line.times[0] >= 0.1 - 0.01
    assert service.books(name) == (100, 0)


def test_each_kind_of_trouble_is_counted_and_told_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    monkeypatch.setattr("tollkeeper.log.time", type("Clock", (), {"monotonic": lambda: now[0]}))
    log = QuietLog()
    with caplog.at_level(logging.WARNING, "tollkeeper"):
        for _ in range(3):
            for kind in ("a", "b"):
                log.tell(kind, "trouble of kind %s", kind)
            now[0] += 59.9
    assert [record.getMessage()[-1] for record in caplog.records] == ["a", "b", "a", "b"]
    assert log.counts() == {"a": 3, "b": 3}
