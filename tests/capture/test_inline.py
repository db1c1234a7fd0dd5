from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tollkeeper.capture import inline
from tollkeeper.capture.body import keep_answer
from tollkeeper.capture.content import is_kept
from tollkeeper.capture.inline import InlineQueue
from tollkeeper.capture.options import CaptureOptions
from tollkeeper.capture.queue import QueueLimits
from tollkeeper.errors import SinkError
from tollkeeper.log import QuietLog

if TYPE_CHECKING:
    from collections.abc import Sequence


class Line:
    """A queue of two to a batch, and what it sent; ``errors`` are raised in turn."""

    def __init__(self, **limits: Any) -> None:
        self.sent: list[list[Any]] = []
        self.errors: list[Exception] = []
        self.closed = 0
        limits = {"batch_events": 2, "shutdown_seconds": 1.0, "backoff_seconds": 0.05} | limits
        self.queue: InlineQueue[Any] = InlineQueue(self.build, self.send, self.close, QueueLimits(**limits), QuietLog())

    def build(self, item: Any) -> Any:
        if item == "bad":
            raise ValueError(item)
        return None if item == "left out" else item

    def send(self, events: Sequence[Any]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(list(events))

    def close(self) -> None:
        self.closed += 1

    def put(self, *items: Any) -> None:
        for item in items:
            self.queue.put(item, 10)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "PAUSE_SECONDS", 0.0)


def test_what_fills_a_batch_sends_it() -> None:
    line = Line()
    line.put(1, 2, 3)
    assert line.sent == [[1, 2]]
    assert line.queue.stats().queued == 1
    assert line.queue.close()
    assert (line.sent, line.closed) == ([[1, 2], [3]], 1)


def test_what_was_not_taken_waits_in_order() -> None:
    line = Line()
    line.errors = [SinkError("later"), RuntimeError("surprise")]
    line.put(1, 2, 3, 4)
    assert line.sent == [[1, 2], [3, 4]]
    assert line.queue.flush()
    assert line.queue.stats().retries == 2
    assert line.queue.close()


def test_what_is_refused_cannot_be_made_or_is_left_out_is_counted() -> None:
    line = Line()
    line.errors = [SinkError("no", retry=False)]
    line.put(1, 2, "bad", 3, "left out", "left out")
    stats = line.queue.stats()
    assert line.sent == [[3]]
    assert (stats.captured, stats.sent, stats.excluded, stats.dropped) == (6, 1, 2, {"sink": 2, "error": 1})
    assert line.queue.close()


def test_it_is_bounded() -> None:
    line = Line(events=3, batch_events=10)
    line.put(1, 2, 3, 4)
    assert line.queue.stats().dropped == {"queue_events": 1}
    assert line.queue.close()
    line.put(5)
    assert line.queue.stats().dropped == {"queue_events": 1, "closed": 1}


def test_at_the_end_it_is_tried_again_until_time_is_over() -> None:
    line = Line()
    line.put(1)
    line.errors = [SinkError("later")]
    assert line.queue.close()
    assert line.sent == [[1]]
    line = Line()
    line.put(1)
    line.errors = [SinkError("never")] * 1000
    assert not line.queue.close(0.2)
    assert line.queue.stats().dropped == {"shutdown": 1}


def test_a_batch_may_be_full_by_its_bytes() -> None:
    line = Line(batch_events=100, batch_bytes=25)
    line.put(1, 2)
    assert line.sent == []
    line.put(3)
    assert line.sent == [[1, 2, 3]]
    assert line.queue.close()


def test_bodies_of_all_types_may_be_kept() -> None:
    options = CaptureOptions(content_types=("*/*",))
    assert all(is_kept(kind, ("*/*",)) for kind in ("", "image/png", "x/y; z=1"))
    assert keep_answer([("X-Plan", "gold")], options) is not None
    assert keep_answer([("X-Plan", "gold")], CaptureOptions()) is None


def test_a_flush_ends_in_time_with_what_it_could_send() -> None:
    line = Line(batch_events=1)
    line.errors = [SinkError("away") for _ in range(20)]
    line.put(*range(20))
    line.errors = []
    send = line.queue._send

    def slow(events: Sequence[Any]) -> int | None:
        time.sleep(0.1)
        return send(events)

    line.queue._send = slow
    began = time.monotonic()
    assert not line.queue.flush(0.25)
    assert time.monotonic() - began < 1
    assert 0 < line.queue.stats().sent < 20
    line.queue._send = send
    assert line.queue.close()
    assert len(line.sent) == 20
