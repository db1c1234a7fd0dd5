"""A queue that is handed items, and weighs and counts them later: nobody can tell, but by what a request pays."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from support.children import in_child
from tollkeeper.capture.late import AT_ONCE, LateQueue
from tollkeeper.capture.queue import QueueLimits
from tollkeeper.events.event import UsageEvent
from tollkeeper.log import QuietLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Weighed(int):
    """A number that weighs something; a negative one cannot be weighed."""

    def weight(self) -> int:
        if self < 0:
            raise IndexError("cannot be weighed")
        return 10


class Collected:
    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.batches = 0
        self.gate = threading.Event()
        self.gate.set()

    def send(self, events: Sequence[UsageEvent]) -> None:
        assert self.gate.wait(30)
        self.batches += 1
        self.numbers += [int(event.id) for event in events]


def build(number: Weighed) -> UsageEvent:
    return UsageEvent(id=str(number), time=datetime.now(UTC), method="GET", path="/", status_code=200)


@contextmanager
def queue(sink: Collected, **limits: Any) -> Iterator[LateQueue[Weighed]]:
    made = LateQueue(build, sink.send, lambda: None, QueueLimits(**({"flush_seconds": 0.02} | limits)), QuietLog())
    try:
        yield made
    finally:
        sink.gate.set()
        made.close(20)
        stats = made.stats()
        assert stats.captured == stats.sent + sum(stats.dropped.values())


def hand_all(queue: LateQueue[Weighed], numbers: Sequence[int]) -> None:
    for number in numbers:
        queue.hand(Weighed(number))


@pytest.fixture
def sink() -> Collected:
    return Collected()


@pytest.mark.parametrize("count", [1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 1_000])
def test_what_is_handed_over_arrives_in_order_and_by_itself(sink: Collected, count: int) -> None:
    with queue(sink) as q:
        hand_all(q, range(count))
        until = time.monotonic() + 20
        while len(sink.numbers) < count and time.monotonic() < until:
            time.sleep(0.005)
        assert sink.numbers == list(range(count))


def test_items_are_counted_when_somebody_asks_however_few(sink: Collected) -> None:
    with queue(sink, flush_seconds=60) as q:
        for number in range(40):
            q.hand(Weighed(number))
            assert q.stats().captured == q.stats().queued == number + 1


def test_to_flush_delivers_what_was_handed_over_before(sink: Collected) -> None:
    with queue(sink, flush_seconds=60) as q:
        for number in range(40):
            q.hand(Weighed(number))
            assert q.flush(20)
            assert sink.numbers == list(range(number + 1))


def test_what_is_put_stays_behind_what_was_handed_over(sink: Collected) -> None:
    with queue(sink, flush_seconds=60) as q:
        for number in range(60):
            if number % 7 == 3:
                q.put(Weighed(number), 10)
            else:
                q.hand(Weighed(number))
        assert q.flush(20)
        assert sink.numbers == list(range(60))


@pytest.mark.parametrize(
    ("limits", "reason"), [({"events": 100}, "queue_events"), ({"bytes": 1_000, "batch_bytes": 50}, "queue_bytes")]
)
def test_a_full_queue_drops_the_newest_and_counts_each(sink: Collected, limits: dict[str, int], reason: str) -> None:
    sink.gate.clear()
    with queue(sink, **limits) as q:
        hand_all(q, range(1_000))
        stats = q.stats()
        assert (stats.captured, stats.queued, stats.dropped) == (1_000, 100, {reason: 900})
        sink.gate.set()
        assert q.flush(20)
        assert sink.numbers == list(range(100))
        hand_all(q, [2_000])  # there is room again
        assert q.flush(20)
        assert sink.numbers[-1] == 2_000


def test_a_full_batch_leaves_at_once(sink: Collected) -> None:
    with queue(sink, flush_seconds=60, batch_events=2 * AT_ONCE) as q:
        hand_all(q, range(2 * AT_ONCE + 1))
        until = time.monotonic() + 20
        while not sink.numbers and time.monotonic() < until:
            time.sleep(0.005)
        assert sink.numbers[: 2 * AT_ONCE] == list(range(2 * AT_ONCE))


def test_what_cannot_be_weighed_is_counted_and_its_neighbours_arrive(sink: Collected) -> None:
    with queue(sink) as q:
        hand_all(q, [1, -1, 2, -2, -3, 3])
        assert q.flush(20)
        assert sink.numbers == [1, 2, 3]
        assert q.stats().dropped == {"error": 3}
        assert q.stats().errors == {"observe": 3}


def test_what_is_handed_over_before_the_close_is_sent_and_after_it_counted(sink: Collected) -> None:
    with queue(sink, flush_seconds=60) as q:
        hand_all(q, range(AT_ONCE // 2))
        assert q.close(20)
        assert sink.numbers == list(range(AT_ONCE // 2))
        hand_all(q, [1, 2, 3])
        assert q.stats().dropped == {"closed": 3}


def test_when_the_thread_was_ended_the_next_starts_another(sink: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    ended = threading.Event()

    def send(events: Sequence[UsageEvent]) -> None:
        if not ended.is_set():
            ended.set()
            raise SystemExit
        sink.send(events)

    q = LateQueue(build, send, lambda: None, QueueLimits(flush_seconds=0.02), QuietLog())
    q.hand(Weighed(1))
    assert ended.wait(20)
    until = time.monotonic() + 20
    while q._thread is not None and time.monotonic() < until:
        time.sleep(0.005)
    q.hand(Weighed(2))
    assert q.flush(20)
    assert sink.numbers == [2]
    assert q.stats().dropped == {"error": 1}
    assert q.close(20)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_waits_to_be_weighed_at_a_fork_is_the_parents(sink: Collected) -> None:
    with queue(sink, flush_seconds=60) as q:
        hand_all(q, range(5))
        assert q._fresh  # the first one has started the thread

        def work() -> bool:
            empty = q.stats().captured == 0
            q.hand(Weighed(9))
            return empty and q.flush(20) and sink.numbers == [9]

        assert in_child(work) == 0
        assert q.flush(20)
        assert sink.numbers == list(range(5))


def test_a_fork_past_the_hooks_of_python_is_noticed(sink: Collected) -> None:
    with queue(sink, flush_seconds=60) as q:
        hand_all(q, range(5))
        q._unhooked, q._process = True, q._process - 1  # as in a child of uWSGI
        q.hand(Weighed(9))
        assert q.stats().captured == 1
        assert q.flush(20)
        assert sink.numbers == [9]


def test_what_uwsgi_observes_before_it_forks_is_dropped(sink: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    uwsgi = ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    pid, worker = os.getpid(), 0
    for name, value in {"masterpid": lambda: pid, "worker_id": lambda: worker}.items():
        setattr(uwsgi, name, value)
    with queue(sink) as q:
        hand_all(q, range(3))
        q.put(Weighed(3), 1)
        assert q.stats().dropped == {"uwsgi_master": 4}
        assert q.flush(20)
        assert q._thread is None
        worker = 1
        q.hand(Weighed(9))
        assert q.flush(20)
        assert sink.numbers == [9]


def test_threads_that_hand_over_flush_and_ask_at_once_lose_nothing(sink: Collected) -> None:
    handed, each = 8, 2_000
    failures: list[str] = []
    with queue(sink, events=handed * each) as q:

        def work(place: int) -> None:
            for number in range(each):
                q.hand(Weighed(place * each + number))
                if number % 100 == 50 and not (q.flush(20) and place * each + number in set(sink.numbers[:])):
                    failures.append(f"{place}/{number} was not there after a flush")
                if number % 31 == 0 and q.stats().captured < number:
                    failures.append("too few are counted")

        threads = [threading.Thread(target=work, args=(place,)) for place in range(handed)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert q.flush(20)
    assert failures == []
    assert sorted(sink.numbers) == list(range(handed * each))
    for place in range(handed):
        mine = [number for number in sink.numbers if number // each == place]
        assert mine == sorted(mine)


def test_who_hands_over_while_another_closes_is_sent_or_counted(sink: Collected) -> None:
    for _ in range(50):
        q = LateQueue(build, sink.send, lambda: None, QueueLimits(flush_seconds=60), QuietLog())
        q.hand(Weighed(0))
        done: list[int] = []

        def work(q: LateQueue[Weighed] = q, done: list[int] = done) -> None:
            for number in range(300):
                q.hand(Weighed(number))
            done.append(1)

        thread = threading.Thread(target=work)
        thread.start()
        assert q.close(20)
        thread.join(20)
        stats = q.stats()
        assert done
        assert stats.captured == 301 == stats.sent + sum(stats.dropped.values())
        assert set(stats.dropped) <= {"closed"}


def test_what_is_handed_over_is_seen_by_whoever_waits_for_requests_to_be_over(sink: Collected) -> None:
    sink.gate.clear()
    with queue(sink) as q:
        hand_all(q, [1])
        assert q.stats().queued == 1
        until = time.monotonic() + 20
        while q._waiting() and time.monotonic() < until:
            time.sleep(0.001)
        hand_all(q, [2, 3])
        assert q._waiting() == 2
        assert q.stats().queued == 3
        assert q._waiting() == 2
