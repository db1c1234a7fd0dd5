"""A bounded queue between the threads of the host and one daemon thread that delivers; what it drops, it counts."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections import defaultdict, deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from tollkeeper.capture.delivery import build_each, send_until_taken
from tollkeeper.capture.pace import breathe
from tollkeeper.forks import call_at_fork, is_to_fork
from tollkeeper.unhurried import Unhurried

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.log import QuietLog

__all__ = ["Queue", "QueueLimits", "Stats"]

Item = TypeVar("Item")


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
    ``errors`` counts what went wrong, by kind; nothing is lost by that unless ``dropped`` says so, too. ``sinks`` has
    the same for each sink; where there are several, the rest is their sum: each request counts once for each of them.
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
    sinks: dict[str, Stats] = {}


class Queue(Generic[Item]):
    """Takes items from any thread, never blocking; builds their events and sends them, in order, in its own thread.

    When it is full the newest is dropped. A batch that could not be sent is sent again until it can, and is never split
    or reordered. A child of a fork starts with an empty queue and a thread of its own; what waited is the parent's.
    ``send`` may return how many of a batch were rejected one by one. All queues in the list ``together`` are closed by
    one deadline.
    """

    def __init__(
        self,
        build: Callable[[Item], UsageEvent | None],
        send: Callable[[Sequence[UsageEvent]], int | None],
        close_sink: Callable[[], None],
        limits: QueueLimits,
        log: QuietLog,
        *,
        together: list[Queue[Item]] | None = None,
    ) -> None:
        self._build = build
        self._send = send
        self._close_sink = close_sink
        self._limits = limits
        self._log = log
        self._together = [] if together is None else together
        self._together.append(self)
        self._closing = False
        self._joined = False
        self._last_thread: threading.Thread | None = None
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
        self._unhooked = "uwsgi" in sys.modules  # it may fork past the hooks of Python
        self._log.reset()
        # Re-entrant, because a finaliser of the host may finish a request in the middle of any of our lines.
        self._lock = threading.RLock()
        self._settled_now = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._items: deque[tuple[Item, int]] = deque()
        self._in_hand = self._rejected = 0
        self._bytes = 0
        self._refused = self._sent = self._excluded = self._retries = 0
        self._dropped: defaultdict[str, int] = defaultdict(int)
        self._accepted = self._settled = self._flush_to = 0
        self._look_at = self._look_at_bytes = self._nudges = self._attempt_after = 0
        self._taken_at = time.monotonic()

    def put(self, item: Item, size: int) -> None:
        """Queue an item of ``size`` bytes, or count it as dropped; never blocks on delivery, never raises."""
        if self._unhooked and self._is_to_fork():
            return
        self._lock.acquire()  # not by "with", which takes twice as long
        try:
            if self._accepted < self._look_at and self._bytes + size < self._look_at_bytes:
                self._accepted += 1
                self._bytes += size
                self._items.append((item, size))
                return
            reason = self._look(item, size)
        finally:
            self._lock.release()
        if reason is not None:
            self.lost(reason)
        elif self._thread is None:
            self._start()

    def _look(self, item: Item, size: int) -> str | None:
        """Queue an item if there is room, and say up to what count the next ones need no such look; holds the lock.

        Until then no batch is completed, and no bound is met. What leaves the queue asks for a look again.
        """
        limits = self._limits
        if self._closing:
            return "closed"
        had_batch = self._has_batch()
        # From here to the append nothing is called, in which a finaliser might put another one.
        if self._accepted - self._settled >= limits.events:
            return "queue_events"
        if self._bytes + size > limits.bytes:
            return "queue_bytes"
        self._accepted += 1
        self._bytes += size
        self._items.append((item, size))
        if self._thread is not None:
            has_batch = self._has_batch()
            full_at = self._settled + limits.events
            self._look_at = (
                full_at if has_batch else min(full_at, self._accepted + limits.batch_events - len(self._items) - 1)
            )
            self._look_at_bytes = limits.bytes if has_batch else min(limits.bytes, limits.batch_bytes)
            if has_batch and not had_batch:
                self._wake.set()
        return None

    def _is_to_fork(self) -> bool:
        """Start anew in a child that was forked past our hooks; drop what is observed where that is to happen."""
        if self._process != os.getpid():
            self._reset()
        if dropped := is_to_fork():  # there may be no thread to send it, and each child would find it waiting
            self.lost("uwsgi_master")
        return dropped

    def lost(self, reason: str) -> None:
        """Count something that was observed and not queued."""
        with self._lock:
            self._refused += 1
            self._dropped[reason] += 1
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
        for queue in self._together:  # all at once: one that hangs takes no time from the others
            queue.end(seconds)
        with self._lock:
            if self._joined:
                return "shutdown" not in self._dropped
            self._joined = True
            thread = self._last_thread
        if thread is None:
            with suppress(SystemExit):  # of a sink; it was logged
                self._run()  # no thread can be started any more when the interpreter ends
        elif thread is not threading.current_thread():
            thread.join(max(0.0, self._deadline - time.monotonic()))
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

    def end(self, seconds: float) -> None:
        """Take nothing more, and have what waits sent within ``seconds``; ``close`` waits for that. Idempotent."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            self._look_at = 0
            self._last_thread = self._thread  # which may have ended by the time that somebody waits for it
            self._deadline = time.monotonic() + seconds
            self._nudges += 1
        self._wake.set()

    def stats(self) -> Stats:
        """Count what became of everything so far, consistent in itself."""
        with self._lock:
            return Stats(
                captured=self._accepted + self._refused,
                sent=self._sent,
                queued=len(self._items) + self._in_hand,
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
                closing = self._closing  # before the look at what waits: what comes later is to be taken as well
                batch = self._take()
                if batch:
                    self._deliver(batch)
                elif closing:
                    break
        finally:
            with self._lock:
                self._thread = None  # whatever ended this one, the next put starts another
                self._look_at = 0
        try:
            self._close_sink()
        except Exception as error:  # noqa: BLE001 - a sink is the user's
            self._log.tell("close", "Tollkeeper could not close its sink.", error=error)

    def _hurried(self) -> bool:
        return self._closing or self._settled < self._flush_to

    def _has_batch(self) -> bool:
        return len(self._items) >= self._limits.batch_events or self._bytes >= self._limits.batch_bytes

    def _wait(self) -> None:
        # From one batch to the next, not from the end of one: what came in meanwhile has waited already.
        until = self._taken_at + self._limits.flush_seconds
        # Again when it was told of a batch that has left since then.
        while not self._hurried() and not self._has_batch() and (left := until - time.monotonic()) > 0:
            self._wake.wait(left)
            self._wake.clear()
        self._taken_at = time.monotonic()

    def _take(self) -> deque[tuple[Item, int]]:
        limits, items = self._limits, self._items
        with self._lock:
            if time.monotonic() > self._deadline:
                return deque()
            if self._bytes < limits.batch_bytes:  # all at once, as requests wait for the lock
                batch = deque([items.popleft() for _ in range(min(len(items), limits.batch_events))])
            else:
                batch, size = deque(), 0
                while items and len(batch) < limits.batch_events and size < limits.batch_bytes:
                    batch.append(items.popleft())
                    size += batch[-1][1]
            self._in_hand = len(batch)
            self._look_at = 0
        return batch

    def _deliver(self, batch: deque[tuple[Item, int]]) -> None:
        events: list[UsageEvent] = []
        excluded = self._rejected = 0
        count, freed = len(batch), sum([size for _, size in batch])
        reason: str | None = "error"
        try:
            # To free the memory of many takes as long as to make an event: each is let go of in its turn.
            items = (batch.popleft()[0] for _ in range(count))
            events, excluded = build_each(self._build, items, self._breathe, self._log)
            reason = send_until_taken(self._send_once, events, self._retry, self._limits.backoff_seconds, self._log)
        except BaseException as error:  # what ends this thread; the next put starts another
            self._log.tell("sink", "Tollkeeper's thread was ended while it delivered %d events.", count, error=error)
            raise
        finally:
            self._settle((count, freed), len(events), excluded, reason)
        began = time.perf_counter()
        while events:
            events.pop()
            began = self._breathe(began)

    def _settle(self, taken: tuple[int, int], built: int, excluded: int, reason: str | None) -> None:
        """Count what became of a batch of so many items and bytes: its events are sent, or dropped for a ``reason``."""
        count, freed = taken
        failed = count - built - excluded
        with self._settled_now:
            if not self._closed:
                self._in_hand = self._look_at = 0
                self._bytes -= freed
                self._settled += count
                self._excluded += excluded
                rejected = self._rejected if reason is None else 0
                if reason is None:
                    self._sent += built - rejected
                for why, lost in ((reason or "", built), ("rejected", rejected), ("error", failed)):
                    if why and lost:
                        self._dropped[why] += lost
            self._settled_now.notify_all()

    def _breathe(self, began: float) -> float:
        # Until a batch is ready again, not longer: nobody is to wait twice as long for the sake of leisure.
        leisure_until = self._taken_at + self._limits.flush_seconds
        return breathe(began, self._waiting, self._limits.events, self._hurried, leisure_until)

    def _waiting(self) -> int:
        return len(self._items)

    def _send_once(self, events: list[UsageEvent]) -> None:
        self._attempt_after = self._nudges
        # At the end there is no time to let others run: where threads go on and on, each turn lasts for milliseconds.
        self._rejected = self._send(events.copy() if self._closing else Unhurried(events)) or 0

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
