"""A bounded queue between the threads of the host and one daemon thread that delivers; what it drops, it counts."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from tollkeeper.capture.delivery import build_each, send_until_taken
from tollkeeper.capture.log import QuietLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["Queue", "QueueLimits", "Stats"]

Item = TypeVar("Item")

BREATH_SECONDS = 0.0005


class QueueLimits(Struct, frozen=True, kw_only=True):
    """What may wait, in events and in bytes; how much leaves at once; how long each step may take."""

    events: int = 10_000
    bytes: int = 64 * 2**20
    batch_events: int = 500
    batch_bytes: int = 4 * 2**20
    flush_seconds: float = 1.0
    shutdown_seconds: float = 5.0
    backoff_seconds: float = 0.5


class Stats(Struct, frozen=True, kw_only=True):
    """Of this process, since it started: ``captured = sent + queued + sum(dropped.values())``, always."""

    captured: int = 0
    sent: int = 0
    queued: int = 0
    retries: int = 0
    dropped: dict[str, int] = {}


class Queue(Generic[Item]):
    """Takes items from any thread, never blocking; builds their events and sends them, in order, in its own thread.

    When it is full the newest is dropped. A batch that could not be sent is sent again until it can, and is never split
    or reordered. A child of a fork starts with an empty queue and a thread of its own; what waited is the parent's.
    """

    def __init__(
        self,
        build: Callable[[Item], UsageEvent],
        send: Callable[[Sequence[UsageEvent]], None],
        close_sink: Callable[[], None],
        limits: QueueLimits,
    ) -> None:
        self._build = build
        self._send = send
        self._close_sink = close_sink
        self._limits = limits
        self._log = QuietLog()
        self._closing = False
        self._closed = False
        self._finalizer: Any = None
        self._deadline = float("inf")
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_call, weakref.WeakMethod(self._reset)))

    def _reset(self) -> None:
        # Re-entrant, because a finaliser of the host may finish a request in the middle of any of our lines.
        self._lock = threading.RLock()
        self._settled_now = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._items: deque[tuple[Item, int]] = deque()
        self._in_hand = 0
        self._bytes = 0
        self._captured = self._sent = self._retries = 0
        self._dropped: dict[str, int] = {}
        self._accepted = self._settled = self._flush_to = 0
        self._nudges = self._attempt_after = 0

    def put(self, item: Item, size: int) -> None:
        """Queue an item of ``size`` bytes, or count it as dropped; never blocks on delivery, never raises."""
        limits = self._limits
        with self._lock:
            self._captured += 1
            waiting = len(self._items)
            if self._closing:
                reason = "closed"
            elif waiting + self._in_hand >= limits.events:
                reason = "queue_events"
            elif self._bytes + size > limits.bytes:
                reason = "queue_bytes"
            else:
                reason = ""
                self._items.append((item, size))
                self._bytes += size
                self._accepted += 1
        if reason:
            self._drop(reason)
        else:
            if self._thread is None:
                self._start()
            if waiting + 1 == limits.batch_events:
                self._wake.set()

    def lost(self, reason: str) -> None:
        """Count something that was observed and could not even be queued."""
        with self._lock:
            self._captured += 1
        self._drop(reason)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was put before has left, at most ``timeout`` seconds; False when some still waits."""
        with self._lock:
            target = self._accepted
            if self._settled >= target:
                return True
            self._flush_to = target
            self._nudges += 1
        self._start()
        self._wake.set()
        with self._settled_now:
            seconds = self._limits.shutdown_seconds if timeout is None else timeout
            return self._settled_now.wait_for(lambda: self._settled >= target, seconds)

    def close(self, timeout: float | None = None) -> bool:
        """Send what waits, close the sink and take nothing more; what is left after ``timeout`` seconds is dropped."""
        seconds = self._limits.shutdown_seconds if timeout is None else timeout
        with self._lock:
            if self._closing:
                return "shutdown" not in self._dropped
            self._closing = True
            self._deadline = time.monotonic() + seconds
            self._nudges += 1
            thread = self._thread
        self._wake.set()
        if thread is None:
            self._run()  # no thread can be started any more when the interpreter ends
        elif thread is not threading.current_thread():
            thread.join(seconds)
        with self._lock:
            self._closed = True
            self._settled = self._accepted
            self._settled_now.notify_all()
            left = len(self._items) + self._in_hand
            self._items.clear()
            self._in_hand = self._bytes = 0
            lost = self._dropped.get("shutdown", 0) + left
            if lost:
                self._dropped["shutdown"] = lost
        atexit.unregister(self.close)
        if self._finalizer is not None:
            self._finalizer.cancel()
        if lost:
            self._log.tell("shutdown", "Tollkeeper lost %d events: the sink did not take them before exit.", lost)
        return not lost

    def stats(self) -> Stats:
        """Count what became of everything so far, consistent in itself."""
        with self._lock:
            queued = len(self._items) + self._in_hand
            return Stats(
                captured=self._captured,
                sent=self._sent,
                queued=queued,
                retries=self._retries,
                dropped=dict(self._dropped),
            )

    def _drop(self, reason: str) -> None:
        with self._lock:
            self._dropped[reason] = self._dropped.get(reason, 0) + 1
        if reason != "error":
            self._log.tell(reason, "Tollkeeper drops events, reason %r: docs/capture.md says what to do.", reason)

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._closing:
                return
            thread = threading.Thread(target=self._run, name="tollkeeper", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads: what waits is sent by a later put, or at exit
                self._log.tell("thread", "Tollkeeper cannot start its thread: events wait.", error=error)
                return
            self._thread = thread
        atexit.unregister(self.close)  # inherited by a fork
        atexit.register(self.close)
        forked = sys.modules.get("multiprocessing.util")
        if forked is not None:  # its children end without atexit
            self._finalizer = forked.Finalize(None, self.close, exitpriority=10)

    def _run(self) -> None:
        try:
            while True:
                self._wait()
                batch = self._take()
                if batch:
                    self._deliver(batch)
                elif self._closing:
                    break
        finally:
            with self._lock:
                self._thread = None  # whatever ended this one, the next put starts another
        try:
            self._close_sink()
        except Exception as error:  # noqa: BLE001 - a sink is the user's
            self._log.tell("close", "Tollkeeper could not close its sink.", error=error)

    def _hurried(self) -> bool:
        return self._closing or self._settled < self._flush_to

    def _wait(self) -> None:
        if not self._hurried() and len(self._items) < self._limits.batch_events:
            self._wake.wait(self._limits.flush_seconds)
        self._wake.clear()

    def _take(self) -> list[tuple[Item, int]]:
        batch: list[tuple[Item, int]] = []
        size = 0
        with self._lock:
            if time.monotonic() > self._deadline:
                return batch
            while self._items and len(batch) < self._limits.batch_events and size < self._limits.batch_bytes:
                batch.append(self._items.popleft())
                size += batch[-1][1]
            self._in_hand = len(batch)
        return batch

    def _deliver(self, batch: list[tuple[Item, int]]) -> None:
        events: list[UsageEvent] = []
        reason: str | None = "error"
        try:
            events = build_each(self._build, (item for item, _ in batch), self._breathe, self._log)
            reason = send_until_taken(self._send_once, events, self._retry, self._limits.backoff_seconds, self._log)
        finally:
            failed = len(batch) - len(events)
            with self._settled_now:
                if not self._closed:
                    self._in_hand = 0
                    self._bytes -= sum(size for _, size in batch)
                    self._settled += len(batch)
                    if reason is None:
                        self._sent += len(events)
                    elif events:
                        self._dropped[reason] = self._dropped.get(reason, 0) + len(events)
                    if failed:
                        self._dropped["error"] = self._dropped.get("error", 0) + failed
                self._settled_now.notify_all()

    def _breathe(self) -> None:
        # Only one thread runs Python at a time: let the host's go first, unless the queue fills up meanwhile.
        if not self._hurried() and len(self._items) < self._limits.events // 2:
            time.sleep(BREATH_SECONDS)

    def _send_once(self, events: list[UsageEvent]) -> None:
        self._attempt_after = self._nudges
        self._send(events)

    def _retry(self, seconds: float) -> bool:
        """Wait before a retry, shorter when somebody flushes; False when the time to shut down is over."""
        with self._lock:
            self._retries += 1
        if self._closing:
            seconds = min(seconds, self._limits.backoff_seconds)
        until = time.monotonic() + seconds
        while self._nudges == self._attempt_after and (left := min(until, self._deadline) - time.monotonic()) > 0:
            self._wake.wait(left)
            self._wake.clear()
        return time.monotonic() < self._deadline


def _call(hook: weakref.WeakMethod[Callable[[], None]]) -> None:
    # A fork hook cannot be taken back: it must not keep a queue alive.
    if (method := hook()) is not None:
        method()
