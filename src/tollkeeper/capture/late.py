"""A queue that weighs and counts what it is handed some at a time: what a request pays for is one append."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol, TypeVar

from tollkeeper.capture.queue import Queue, Stats

__all__ = ["LateQueue"]

AT_ONCE = 16
"""How many wait to be weighed at most, but for those that other threads hand over at this moment."""


class Weighs(Protocol):
    """What can say how much memory it takes, in bytes."""

    def weight(self) -> int:
        """Bytes."""
        ...


Item = TypeVar("Item")


class LateQueue(Queue[Item]):
    """Takes items by ``hand``, too, which puts them later: before anybody counts, flushes, delivers or closes.

    Its bounds hold for what it has put. It is for what is small: that no more than a few of it wait is bound enough.
    """

    def _reset(self) -> None:
        self._fresh: deque[Any] = deque()
        super()._reset()

    def hand(self, item: Weighs) -> None:
        """Queue an item soon, in the order of what was handed over; never blocks on delivery, never raises."""
        if self._unhooked and self._is_to_fork():
            return
        fresh = self._fresh
        fresh.append(item)
        # Who closes sets that first, and puts what waits here after it: one of the two sees this item.
        if len(fresh) >= AT_ONCE or self._thread is None or self._closing:
            self._put_fresh()

    def put(self, item: Item, size: int) -> None:
        """Queue an item now, after what was handed over."""
        if self._fresh:
            self._put_fresh()
        super().put(item, size)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was put or handed over before has left; False when some still waits."""
        self._put_fresh()
        return super().flush(timeout)

    def end(self, seconds: float) -> None:
        """Take nothing more, and have what waits sent within ``seconds``."""
        self._put_fresh()
        super().end(seconds)
        self._put_fresh()

    def stats(self) -> Stats:
        """Count what became of everything so far."""
        self._put_fresh()
        return super().stats()

    def _waiting(self) -> int:
        return super()._waiting() + len(self._fresh)

    def _take(self) -> deque[tuple[Item, int]]:
        self._put_fresh()
        return super()._take()

    def _put_fresh(self) -> None:
        lost: list[str] = []
        failures: list[Exception] = []
        fresh = self._fresh
        with self._lock:  # until the last of them is put: who flushes then must not miss those in our hands
            while fresh:
                try:
                    item = fresh.popleft()
                except IndexError:  # a finaliser of the host, between these lines, came here as well
                    break
                try:
                    size = item.weight()
                except Exception as error:  # noqa: BLE001 - what the host's answer holds may be anything
                    failures.append(error)
                    continue
                # As put() does.
                if self._accepted < self._look_at and self._bytes + size < self._look_at_bytes:
                    self._accepted += 1
                    self._bytes += size
                    self._items.append((item, size))
                elif (reason := self._look(item, size)) is not None:
                    lost.append(reason)
            waits = bool(self._items)
        for reason in lost:
            self.lost(reason)
        for failure in failures:
            self.lost("error")
            self._log.tell("observe", "Tollkeeper could not observe a request.", error=failure)
        if waits and self._thread is None:
            self._start()
