"""A queue without a thread, for hosts in which none runs: requests deliver what fills a batch."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

from tollkeeper.capture.delivery import build_each
from tollkeeper.capture.queue import Queue
from tollkeeper.errors import SinkError

if TYPE_CHECKING:
    from collections import deque

__all__ = ["InlineQueue"]

Item = TypeVar("Item")

PAUSE_SECONDS = 15.0
"""How long requests are spared after one of them waited for a sink in vain, unless the sink says more."""
BATCHES_A_PUT = 2
"""More than one, so that what has waited for a sink to come back gets less."""


class InlineQueue(Queue[Item]):
    """Sends a batch in the thread that completes it, once: what is not taken waits, bounded, for a later put.

    One thread delivers at a time; no other waits for it. Whatever the sink does, ``put`` does not raise.
    """

    def _reset(self) -> None:
        super()._reset()
        self._delivering = threading.Lock()
        self._resume_at = 0.0

    def put(self, item: Item, size: int) -> None:
        """Queue an item, or count it as dropped, and send what fills a batch."""
        super().put(item, size)
        for _ in range(BATCHES_A_PUT):
            if not self._has_batch() or time.monotonic() < self._resume_at or not self._deliver_next(0):
                break

    def flush(self, timeout: float | None = None) -> bool:
        """Send all that waits; False when some of it still waits."""
        seconds = self._limits.shutdown_seconds if timeout is None else timeout
        until = time.monotonic() + seconds
        while self._items and (left := until - time.monotonic()) > 0 and self._deliver_next(left):
            pass
        return not (self._items or self._in_hand)

    def _start(self) -> None:
        """Start no thread."""

    def _run(self) -> None:
        # At the end, when no request delivers any more: of a batch in its hands it is known soon what becomes of it.
        if self._delivering.acquire(timeout=max(0.0, self._deadline - time.monotonic())):
            try:
                super()._run()
            finally:
                self._delivering.release()

    def _deliver_next(self, seconds: float) -> bool:
        """Deliver a batch, once no other thread does; False when that takes too long, or the sink did not take it."""
        if not self._delivering.acquire(timeout=seconds):
            return False
        try:
            batch = self._take()
            return bool(batch) and self._attempt(batch)
        finally:
            self._delivering.release()

    def _attempt(self, batch: deque[tuple[Item, int]]) -> bool:
        taken = False
        try:
            events, excluded = build_each(self._build, (item for item, _ in batch), lambda began: began, self._log)
            reason = None
            self._rejected = 0
            try:
                if events:
                    self._send_once(events)
            except Exception as error:  # noqa: BLE001 - a sink is the user's
                self._log.tell("sink", "Tollkeeper could not deliver %d events: %s", len(events), error)
                if not isinstance(error, SinkError) or error.retry:
                    self._resume_at = time.monotonic() + max(PAUSE_SECONDS, getattr(error, "retry_after", None) or 0.0)
                    return False
                reason = "sink"
            taken = True
            self._settle((len(batch), sum(size for _, size in batch)), len(events), excluded, reason)
            return True
        finally:
            if not taken:
                self._put_back(batch)

    def _put_back(self, batch: deque[tuple[Item, int]]) -> None:
        with self._lock:
            self._retries += 1
            if not self._closed:
                self._items.extendleft(reversed(batch))
            self._in_hand = 0
