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
from tollkeeper.forks import call_at_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.capture.log import QuietLog
    from tollkeeper.events.event import UsageEvent

__all__ = ["Queue", "QueueLimits", "Stats"]

Item = TypeVar("Item")

# How long the thread works before it lets the host's run, how much longer with a full queue, and for how long it waits.
SLICE_SECONDS, GROWTH, BREATH_SECONDS = 0.0001, 50, 0.0002
ENOUGH = 0.5


class QueueLimits(Struct, frozen=True, kw_only=True):
    """What may wait, in events and in bytes; how much leaves at once; how long each step may take."""

    events: int = 10_000
    bytes: int = 64 * 2**20
    batch_events: int = 500
    batch_bytes: int = 4 * 2**20
    flush_seconds: float = 1.0
    spool_seconds: float = 0.2
    shutdown_seconds: float = 5.0
    backoff_seconds: float = 0.5


class Stats(Struct, frozen=True, kw_only=True):
    """Of this process, since it started; ``captured = sent + queued + spooled + excluded + sum(dropped)``, always.

    ``excluded`` was left out as the app asked; ``adopted`` was sent for processes that are dead, and counts apart.
    ``errors`` counts what went wrong, by kind; nothing is lost by that unless ``dropped`` says so, too.
    """

    captured: int = 0
    sent: int = 0
    queued: int = 0
    spooled: int = 0
    excluded: int = 0
    adopted: int = 0
    retries: int = 0
    dropped: dict[str, int] = {}
    errors: dict[str, int] = {}


class Queue(Generic[Item]):
    """Takes items from any thread, never blocking; builds their events and sends them, in order, in its own thread.

    When it is full the newest is dropped. A batch that could not be sent is sent again until it can, and is never split
    or reordered. A child of a fork starts with an empty queue and a thread of its own; what waited is the parent's.
    """

    def __init__(
        self,
        build: Callable[[Item], UsageEvent | None],
        send: Callable[[Sequence[UsageEvent]], None],
        close_sink: Callable[[], None],
        limits: QueueLimits,
        log: QuietLog,
    ) -> None:
        self._build = build
        self._send = send
        self._close_sink = close_sink
        self._limits = limits
        self._log = log
        self._closing = False
        self._closed = False
        self._finalizer: Any = None
        # Weak, as it outlives this queue; and now, because a thread that starts at exit comes too late for it.
        self._at_exit = partial(_call, weakref.WeakMethod(self.close))
        atexit.register(self._at_exit)
        self._deadline = float("inf")
        self._reset()
        call_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._process = os.getpid()
        self._log.reset()
        # Re-entrant, because a finaliser of the host may finish a request in the middle of any of our lines.
        self._lock = threading.RLock()
        self._settled_now = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._items: deque[tuple[Item, int]] = deque()
        self._in_hand = 0
        self._bytes = 0
        self._refused = self._sent = self._excluded = self._retries = 0
        self._dropped: dict[str, int] = {}
        self._accepted = self._settled = self._flush_to = 0
        self._nudges = self._attempt_after = 0
        self._taken_at = time.monotonic()

    def put(self, item: Item, size: int) -> None:
        """Queue an item of ``size`` bytes, or count it as dropped; never blocks on delivery, never raises."""
        limits = self._limits
        if self._process != os.getpid():
            self._reset()  # forked past the hooks of Python, as by uWSGI
        with self._lock:
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
            self.lost(reason)
        elif self._thread is None:
            self._start()
        elif waiting + 1 == limits.batch_events:
            self._wake.set()

    def lost(self, reason: str) -> None:
        """Count something that was observed and not queued."""
        with self._lock:
            self._refused += 1
            self._dropped[reason] = self._dropped.get(reason, 0) + 1
        if reason != "error":
            self._log.tell(reason, "Tollkeeper drops events, reason %r: docs/capture.md says what to do.", reason)

    def exclude(self) -> None:
        """Count something that was observed and is to be left out."""
        with self._lock:
            self._refused += 1
            self._excluded += 1

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
        atexit.unregister(self._at_exit)
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
                captured=self._accepted + self._refused,
                sent=self._sent,
                queued=queued,
                excluded=self._excluded,
                retries=self._retries,
                dropped=dict(self._dropped),
                errors=self._log.counts(),
            )

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._closing:
                return
            # Of the kind that is in force now: gevent may have been patched in since this queue was made.
            self._wake = threading.Event()
            thread = threading.Thread(target=self._run, name="tollkeeper", daemon=True)
            self._thread = thread  # before it runs, because to start a greenlet lets others come here
            try:
                thread.start()
            except RuntimeError as error:  # no more threads: what waits is sent by a later put, or at exit
                self._thread = None
                self._log.tell("thread", "Tollkeeper cannot start its thread: events wait.", error=error)
                return
        uwsgi = sys.modules.get("uwsgi")
        if uwsgi is not None and not getattr(uwsgi, "has_threads", True):
            self._log.tell("thread", "Under uWSGI events leave only while it answers: set enable-threads = true.")
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
            # From one batch to the next, not from the end of one: what came in meanwhile has waited already.
            self._wake.wait(max(0.0, self._taken_at + self._limits.flush_seconds - time.monotonic()))
        self._wake.clear()
        self._taken_at = time.monotonic()

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
        excluded = 0
        reason: str | None = "error"
        try:
            events, excluded = build_each(self._build, (item for item, _ in batch), self._breathe, self._log)
            reason = send_until_taken(self._send_once, events, self._retry, self._limits.backoff_seconds, self._log)
        except BaseException as error:  # what ends this thread; the next put starts another
            self._log.tell(
                "sink", "Tollkeeper's thread was ended while it delivered %d events.", len(batch), error=error
            )
            raise
        finally:
            failed = len(batch) - len(events) - excluded
            with self._settled_now:
                if not self._closed:
                    self._in_hand = 0
                    self._bytes -= sum(size for _, size in batch)
                    self._settled += len(batch)
                    self._excluded += excluded
                    if reason is None:
                        self._sent += len(events)
                    elif events:
                        self._dropped[reason] = self._dropped.get(reason, 0) + len(events)
                    if failed:
                        self._dropped["error"] = self._dropped.get("error", 0) + failed
                self._settled_now.notify_all()

    def _breathe(self, began: float) -> float:
        """Let the host's threads run after a slice of work, which grows as the queue fills; none when in a hurry."""
        now = time.perf_counter()
        filled = len(self._items) / self._limits.events
        if now - began < SLICE_SECONDS * (1 + GROWTH * filled):
            return began
        if not self._hurried() and filled < ENOUGH:
            time.sleep(BREATH_SECONDS)
        return time.perf_counter()

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


def _call(hook: weakref.WeakMethod[Callable[[], object]]) -> None:
    if (method := hook()) is not None:
        method()
