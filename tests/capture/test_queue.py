from __future__ import annotations

import gc
import logging
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tollkeeper.capture.queue import Queue, QueueLimits
from tollkeeper.errors import SinkError
from tollkeeper.events.event import UsageEvent
from tollkeeper.log import QuietLog

Send = Callable[[Sequence[UsageEvent]], None]


def build(number: int) -> UsageEvent:
    if number < 0:
        raise ValueError("cannot be built")
    return UsageEvent(id=str(number), time=datetime.now(UTC), method="GET", path="/", status_code=200)


def put_all(queue: Queue[int], numbers: Iterable[int]) -> None:
    for number in numbers:
        queue.put(number, 1)


class Collected:
    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.closed = 0

    def send(self, events: Sequence[UsageEvent]) -> None:
        self.batches.append([int(event.id) for event in events])

    def close(self) -> None:
        self.closed += 1

    @property
    def numbers(self) -> list[int]:
        return [number for batch in self.batches for number in batch]


@contextmanager
def queue(send: Send, close: Callable[[], None] = lambda: None, **limits: Any) -> Iterator[Queue[int]]:
    wanted = QueueLimits(**({"flush_seconds": 0.02, "backoff_seconds": 0.01} | limits))
    made = Queue(build, send, close, wanted, QuietLog())
    try:
        yield made
    finally:
        made.close(2)
        stats = made.stats()
        assert stats.captured == stats.sent + stats.queued + stats.excluded + sum(stats.dropped.values())


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_everything_arrives_once_and_in_order() -> None:
    sink = Collected()
    with queue(sink.send, sink.close, batch_events=7) as q:
        for number in range(100):
            q.put(number, 1)
        assert q.flush(10)
        assert sink.numbers == list(range(100))
        assert max(map(len, sink.batches)) == 7
        assert q.stats().sent == 100
    assert sink.closed == 1


def test_a_lone_event_leaves_after_flush_seconds() -> None:
    sink = Collected()
    with queue(sink.send, flush_seconds=0.05) as q:
        q.put(1, 1)
        wait_for(lambda: sink.numbers == [1])


def test_a_full_batch_does_not_wait_for_flush_seconds() -> None:
    sink = Collected()
    with queue(sink.send, flush_seconds=60, batch_events=5) as q:
        for number in range(5):
            q.put(number, 1)
        wait_for(lambda: len(sink.numbers) == 5)


@pytest.mark.parametrize(("limits", "size"), [({"batch_events": 5}, 1), ({"batch_bytes": 50}, 10)])
def test_nor_do_those_after_it(limits: dict[str, Any], size: int) -> None:
    sink = Collected()
    with queue(sink.send, flush_seconds=60, **limits) as q:
        for _ in range(3):
            for number in range(5):
                q.put(number, size)
            wait_for(lambda: not q.stats().queued)
    assert sink.batches == [[0, 1, 2, 3, 4]] * 3


def test_batches_are_bounded_in_bytes() -> None:
    sink = Collected()
    with queue(sink.send, batch_bytes=10) as q:
        for number in range(4):
            q.put(number, 6)
        assert q.flush(10)
        assert max(map(len, sink.batches)) <= 2


def test_many_threads_lose_nothing() -> None:
    sink = Collected()
    with queue(sink.send, events=100_000) as q:
        threads = [
            threading.Thread(target=put_all, args=(q, range(start, start + 1000))) for start in range(0, 8000, 1000)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert q.flush(20)
        assert sorted(sink.numbers) == list(range(8000))


@pytest.mark.parametrize(("limit", "size", "reason"), [("events", 10, "queue_events"), ("bytes", 1000, "queue_bytes")])
def test_when_it_is_full_the_newest_are_dropped_and_counted(limit: str, size: int, reason: str) -> None:
    gate = threading.Event()
    sink = Collected()

    def send(events: Sequence[UsageEvent]) -> None:
        gate.wait(10)
        sink.send(events)

    limits: dict[str, Any] = {limit: size, "batch_events": 3}
    with queue(send, **limits) as q:
        for number in range(25):
            q.put(number, 100)
        assert q.stats().dropped == {reason: 15}
        assert q.stats().queued == 10
        gate.set()
        assert q.flush(10)
        assert sink.numbers == list(range(10))
        q.put(99, 100)  # there is room again
        assert q.flush(10)
        assert sink.numbers[-1] == 99


def test_put_does_not_wait_for_a_sink_that_hangs() -> None:
    gate = threading.Event()

    def send(_: Sequence[UsageEvent]) -> None:
        gate.wait(10)

    with queue(send, events=50_000) as q:
        q.put(0, 1)
        time.sleep(0.05)
        began = time.perf_counter()
        for number in range(1000):
            q.put(number, 1)
        assert time.perf_counter() - began < 5  # it hangs for twice as long
        gate.set()


def test_an_event_that_cannot_be_built_is_counted_and_its_neighbours_arrive(caplog: pytest.LogCaptureFixture) -> None:
    sink = Collected()
    with caplog.at_level(logging.WARNING, "tollkeeper"), queue(sink.send) as q:
        for number in (1, -1, 2, -2):
            q.put(number, 1)
        assert q.flush(10)
        assert sink.numbers == [1, 2]
        assert q.stats().dropped == {"error": 2}
    assert len(caplog.records) == 1  # once a minute, not once an event


def test_a_batch_is_sent_again_until_it_is_taken() -> None:
    sink = Collected()
    failures = iter([SinkError("down"), OSError("surprise"), SinkError("busy", retry_after=0.05)])

    def send(events: Sequence[UsageEvent]) -> None:
        for failure in failures:
            raise failure
        sink.send(events)

    with queue(send) as q:
        q.put(1, 1)
        wait_for(lambda: sink.numbers == [1])
        wait_for(lambda: q.stats().sent == 1)
        assert q.stats().retries == 3


def test_retry_after_is_honoured() -> None:
    times: list[float] = []

    def send(_: Sequence[UsageEvent]) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            raise SinkError("busy", retry_after=0.3)

    with queue(send, batch_events=2) as q:
        for number in range(6):  # full batches behind it do not cut the wait short
            q.put(number, 1)
            time.sleep(0.01)
        wait_for(lambda: len(times) > 1)
        assert times[1] - times[0] >= 0.3


@pytest.mark.parametrize("error", [SinkError("401", retry=False), ValueError("bug")])
def test_a_batch_that_is_refused_for_good_is_counted(error: Exception) -> None:
    def send(_: Sequence[UsageEvent]) -> None:
        raise error

    with queue(send) as q:
        q.put(1, 1)
        q.put(2, 1)
        assert q.flush(10)
        assert q.stats().dropped == {"sink": 2}


def test_flush_says_when_it_did_not_succeed_and_tries_at_once() -> None:
    attempts: list[int] = []

    def send(events: Sequence[UsageEvent]) -> None:
        attempts.append(len(events))
        raise SinkError("down", retry_after=60)

    with queue(send, shutdown_seconds=0.1) as q:
        q.put(1, 1)
        assert not q.flush(0.1)
        before = len(attempts)
        assert not q.flush(0.1)
        assert len(attempts) > before
        assert not q.close(0.1)
        assert q.stats().dropped == {"shutdown": 1}
        assert q.stats().queued == 0
        assert q.flush(5)  # nothing waits any more


def test_close_gives_up_on_a_sink_that_hangs_and_stays_closed() -> None:
    gate = threading.Event()

    def send(_: Sequence[UsageEvent]) -> None:
        gate.wait(10)

    with queue(send, batch_events=1) as q:
        q.put(1, 1)
        q.put(2, 1)
        began = time.monotonic()
        assert not q.close(0.2)
        assert time.monotonic() - began < 2
        q.put(3, 1)
        gate.set()
        time.sleep(0.05)  # what comes back late changes no count
        assert q.stats().dropped == {"shutdown": 2, "closed": 1}
        assert not q.close()  # the answer stays what it was


def test_close_sends_what_waits_when_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sink = Collected()
    with queue(sink.send, sink.close) as q:
        monkeypatch.setattr(threading.Thread, "start", no_thread)
        q.put(1, 1)
        assert not q.flush(0.05)
        assert q.close(5)
        assert sink.numbers == [1]
        assert sink.closed == 1


def test_a_sink_that_ends_its_thread_ends_only_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    sink = Collected()

    def send(events: Sequence[UsageEvent]) -> None:
        if events[0].id == "1":
            sys.exit(3)
        sink.send(events)

    with queue(send) as q:
        q.put(1, 1)
        assert q.flush(5)
        assert q.stats().dropped == {"error": 1}
        wait_for(lambda: q._thread is None)
        q.put(2, 1)
        assert q.flush(5)
        assert sink.numbers == [2]


def test_a_close_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def close() -> None:
        raise RuntimeError("close")

    with queue(lambda _: None, close) as q:
        assert q.close(5)
    assert "could not close its sink" in caplog.text


def test_a_queue_that_was_closed_is_forgotten() -> None:
    with queue(lambda _: None) as q:
        q.put(1, 1)
        reference = weakref.ref(q)
    del q
    gc.collect()
    assert reference() is None


class Interrupted(deque[Any]):
    """What waits, with somebody else who comes in the middle of the first ``append``, as a finaliser may."""

    def __init__(self, comes: Callable[[], None]) -> None:
        super().__init__()
        self._comes: list[Callable[[], None]] = [comes]

    def append(self, item: Any) -> None:
        super().append(item)
        if self._comes:
            self._comes.pop()()


def test_a_put_in_the_middle_of_a_put_is_counted_with_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Collected()
    with queue(sink.send, flush_seconds=60, bytes=100) as q:
        monkeypatch.setattr(q, "_items", Interrupted(lambda: q.put(2, 50)))
        q.put(1, 30)
        q.put(3, 30)  # would be too much
        assert q.stats().dropped == {"queue_bytes": 1}
        assert q.flush(10)
        q.put(4, 101)  # too much for an empty one as well, if it is one
        assert q.stats().dropped == {"queue_bytes": 2}
    assert sink.numbers == [1, 2]


def test_what_is_put_right_before_the_close_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Collected()
    with queue(sink.send, sink.close) as q:
        take = q._take  # the moment between its end and the next look cannot be hit from outside
        closed = threading.Event()

        def take_and_close() -> deque[tuple[int, int]]:
            batch = take()
            if sink.numbers and not closed.is_set():
                assert not batch
                q.put(2, 1)
                closed.set()
                q.end(10)
            return batch

        monkeypatch.setattr(q, "_take", take_and_close)
        q.put(1, 1)
        assert closed.wait(10)
        assert q.close(10)
        assert q.stats().sent == 2
    assert sink.numbers == [1, 2]
    assert sink.closed == 1


def test_what_became_an_event_is_let_go_of_before_the_batch_is_sent() -> None:
    class Held:
        pass

    known: list[weakref.ref[Held]] = []
    alive: list[int] = []

    def make(item: Held) -> UsageEvent:
        known.append(weakref.ref(item))
        alive.append(sum(ref() is not None for ref in known))
        return build(len(known))

    sink = Collected()
    q = Queue(make, sink.send, sink.close, QueueLimits(flush_seconds=60), QuietLog())
    for _ in range(20):
        q.put(Held(), 1)
    assert q.flush(10)
    assert q.close(10)
    assert sink.numbers == list(range(1, 21))
    assert max(alive) <= 2, "the one in hand, and the one before it"


def test_a_sink_may_keep_the_list_that_it_is_given() -> None:
    kept: list[Sequence[UsageEvent]] = []
    with queue(kept.append, batch_events=5) as q:
        put_all(q, range(10))
        assert q.flush(10)
        q.put(10, 1)  # the thread is done with the batches before
        assert q.flush(10)
    assert [[int(event.id) for event in batch] for batch in kept] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10]]
    assert all(isinstance(batch, list) for batch in kept)
