from __future__ import annotations

import time
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from support.receiver import Receiver
from support.servers.mariadb import mariadb
from support.usage import make_events
from tollkeeper import unhurried
from tollkeeper.capture.queue import Queue, QueueLimits
from tollkeeper.embedded import embed
from tollkeeper.log import QuietLog
from tollkeeper.sinks.mysql import MySQLSink
from tollkeeper.sinks.otlp import OTLPSink
from tollkeeper.unhurried import Unhurried

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tollkeeper.events.event import UsageEvent


class Clock:
    """Stands still but for sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(unhurried, "time", clock)
    return clock


def test_who_goes_through_a_batch_lets_others_run_after_each_slice(clock: Clock) -> None:
    seen = []
    for number in Unhurried(range(10)):
        seen.append(number)
        clock.now += 0.00004
    assert seen == list(range(10))
    assert clock.pauses == [0.00005] * 3, "after the third, the sixth and the ninth"


def test_a_batch_in_which_nothing_takes_time_has_no_pauses(clock: Clock) -> None:
    assert list(Unhurried(range(1000))) == list(range(1000))
    assert not clock.pauses


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every item takes longer than a slice."""
    taken: list[float] = []
    monkeypatch.setattr(unhurried, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(unhurried, "time", SimpleNamespace(perf_counter=time.perf_counter, sleep=taken.append))
    return taken


def test_a_sink_is_handed_a_batch_with_pauses_but_at_the_end(pauses: list[float]) -> None:
    sent: list[str] = []

    def send(batch: Sequence[UsageEvent]) -> None:
        sent.extend([event.id for event in batch])

    queue = Queue(lambda event: event, send, lambda: None, QueueLimits(flush_seconds=3600), QuietLog())
    for put, ended in ((range(20), queue.flush), (range(20, 40), queue.close)):
        for event in make_events(40)[put.start : put.stop]:
            queue.put(event, 1)
        assert ended(5)
        assert sent == [str(number) for number in range(put.stop)]
        assert len(pauses) == 20


def test_what_the_driver_of_mysql_writes_of_each_row_has_pauses(pauses: list[float]) -> None:
    with closing(MySQLSink(mariadb().fresh_database())) as sink:
        sink.send(make_events(20))
    assert len(pauses) >= 20


def test_what_opentelemetry_makes_and_writes_of_each_event_has_pauses(pauses: list[float]) -> None:
    receiver = Receiver()
    try:
        with closing(OTLPSink(receiver.url, timeout=5)) as sink:
            sink.send(make_events(20))
    finally:
        receiver.stop()
    assert len(pauses) >= 40, "to make a span of it, and to write the span"


def test_what_an_embedded_store_makes_of_each_event_has_pauses(pauses: list[float], tmp_path: Path) -> None:
    app = Flask("shop")
    keeper = embed(app, store=f"sqlite:///{tmp_path / 'tollkeeper.db'}")
    for _ in range(20):
        app.test_client().get("/").close()
    assert keeper.flush(10)
    assert len(pauses) >= 60, "to take it over, to learn its names, and to make a row of it"
