"""Between the queue and the sink when there is a spool: batches go to the disk at once, and from there to the sink."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.capture.delivery import send_until_taken
from tollkeeper.capture.spool.stats import SpoolStats, Tally
from tollkeeper.errors import SinkError
from tollkeeper.forks import call_at_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.capture.queue import QueueLimits
    from tollkeeper.capture.spool.segment import Batch
    from tollkeeper.capture.spool.spool import Spool
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.log import QuietLog

__all__ = ["Forwarder"]

IDLE_SECONDS = 1.0


class Forwarder:
    """Takes batches like a sink and sends them from its own daemon thread; what it has taken outlives the process.

    The sink is called from one thread at a time; ``send`` may return how many of a batch it rejected. A child of a
    fork starts with nothing to send and a thread of its own.
    """

    def __init__(
        self,
        spool: Spool,
        send: Callable[[Sequence[UsageEvent]], int | None],
        close_sink: Callable[[], None],
        limits: QueueLimits,
        log: QuietLog,
    ) -> None:
        self._spool = spool
        self._send_to_sink = send
        self._close_sink = close_sink
        self._limits = limits
        self._log = log
        self._closing = False
        self._deadline = float("inf")
        self._reset()
        call_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._settled_now = threading.Condition(self._lock)
        self._sink_lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._own, self._adopted = Tally(), Tally()
        self._retries = self._corrupt_bytes = self._rejected = 0
        self._kept = self._settled = 0
        self._nudges = self._attempt_after = 0

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Take a batch: on the disk when this returns, or counted as dropped because the spool is full.

        While the disk cannot be written it goes to the sink directly, and what the sink raises is raised.

        Raises:
            SinkError: neither of them took it, or this one is closed.
        """
        if self._closing:
            raise SinkError("The spool of this process is closed.", retry=False)
        with self._lock:
            self._own.take(len(events))
        self.start()
        try:
            kept = self._spool.append(events)
        except Exception as error:  # noqa: BLE001 - a disk fails in many ways, none of which may lose what a sink would take
            self._log.tell("spool", "Tollkeeper cannot write its spool, and sends directly: %s", error)
            self._send_directly(events)
            return
        with self._lock:
            if kept:
                self._kept += len(events)
            else:
                self._own.settle(len(events), "spool_bytes")
        if not kept:
            self._log.tell("spool_bytes", "Tollkeeper drops events: the spool %s is full.", self._spool.path)
        self._wake.set()

    def start(self) -> None:
        """Start the thread, which also sends what dead processes left; else the first batch does. Idempotent."""
        with self._lock:
            if self._thread is not None or self._closing:
                return
            thread = threading.Thread(target=self._run, name="tollkeeper-spool", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads: what waits is sent later, or by the next process
                self._log.tell("thread", "Tollkeeper cannot start its thread: the spool waits.", error=error)
                return
            self._thread = thread

    def flush(self, timeout: float | None = None) -> bool:
        """Wait, at most ``timeout`` seconds, until all that this process spooled has left; False when it has not."""
        with self._settled_now:
            target = self._kept
            if self._settled >= target:
                return True
            self._nudges += 1
            self.start()
            self._wake.set()
            seconds = self._limits.shutdown_seconds if timeout is None else timeout
            return self._settled_now.wait_for(lambda: self._settled >= target, seconds)

    def close(self, timeout: float | None = None) -> None:
        """Send what waits, this process's own first, for at most ``timeout`` seconds, and close the sink.

        What is left stays on the disk for the next process. What was adopted is given up at the first trouble.
        """
        seconds = self._limits.shutdown_seconds if timeout is None else timeout
        with self._lock:
            if self._closing:
                return
            self._closing = True
            self._deadline = time.monotonic() + seconds
            self._nudges += 1
            thread = self._thread
        self._wake.set()
        if thread is None:
            self._run()  # no thread can be started any more when the interpreter ends
        elif thread is not threading.current_thread():
            thread.join(seconds)

    def stats(self) -> SpoolStats:
        """Count what became of everything so far, consistent in itself; does not wait for the disk."""
        with self._lock:
            return SpoolStats(
                own=replace(self._own, dropped=dict(self._own.dropped)),
                adopted=replace(self._adopted, dropped=dict(self._adopted.dropped)),
                retries=self._retries,
                corrupt_bytes=self._corrupt_bytes,
            )

    def _run(self) -> None:
        try:
            while not self._closing:
                batch = self._next_batch()
                if batch is not None:
                    self._deliver(batch)
                else:
                    self._wake.wait(IDLE_SECONDS)
                    self._wake.clear()
            for own in (True, False):
                while time.monotonic() < self._deadline and (batch := self._next_batch(own=own)) is not None:
                    if not self._deliver(batch):
                        break
        finally:
            with self._lock:
                self._thread = None  # whatever ended this one, the next batch starts another
        for close in (self._spool.close, self._close_sink):
            try:
                close()
            except Exception as error:  # noqa: BLE001 - a sink is the user's
                self._log.tell("close", "Tollkeeper could not close its sink.", error=error)

    def _next_batch(self, *, own: bool = False) -> Batch | None:
        limits, path = self._limits, self._spool.path
        try:
            if not own:
                adopted = self._spool.adopt()
                with self._lock:
                    self._adopted.take(adopted)
            return self._spool.next_batch(limits.batch_events, limits.batch_bytes, own=own)
        except Exception as error:  # noqa: BLE001 - a disk fails in many ways; the next turn tries again
            self._log.tell("spool", "Tollkeeper cannot read its spool %s: it tries again.", path, error=error)
            return None

    def _deliver(self, batch: Batch) -> bool:
        """Send a batch until it is taken or refused; False when there was no time for that, and it waits."""
        own = batch.own
        pause = partial(self._pause, own=own)
        self._rejected = 0
        reason = send_until_taken(self._send_once, batch.events, pause, self._limits.backoff_seconds, self._log)
        if reason == "shutdown":
            return False
        self._spool.settle(batch)
        with self._settled_now:
            tally = self._own if own else self._adopted
            rejected = self._rejected if reason is None else 0
            tally.settle(len(batch.events) - rejected, reason)
            tally.settle(rejected, "rejected")
            tally.settle(batch.lost, "spool_corrupt")
            self._corrupt_bytes += batch.corrupt_bytes
            if own:
                self._settled += len(batch.events) + batch.lost
            self._settled_now.notify_all()
        if batch.corrupt_bytes or batch.lost:
            message = (
                "Tollkeeper could not read %d bytes of its spool %s, which held %d events that this process knows of."
            )
            self._log.tell("spool_corrupt", message, batch.corrupt_bytes, self._spool.path, batch.lost)
        return True

    def _send_once(self, events: list[UsageEvent]) -> None:
        self._attempt_after = self._nudges
        try:
            with self._sink_lock:
                self._rejected = self._send_to_sink(events) or 0
        except SystemExit as error:  # of a sink that means well; the thread goes on
            raise RuntimeError(f"The sink wants to exit: {error!r}") from error

    def _send_directly(self, events: Sequence[UsageEvent]) -> None:
        try:
            with self._sink_lock:
                rejected = self._send_to_sink(events) or 0
        except BaseException:
            with self._lock:
                self._own.give_back(len(events))
            raise
        with self._lock:
            self._own.settle(len(events) - rejected, None)
            self._own.settle(rejected, "rejected")

    def _pause(self, seconds: float, *, own: bool) -> bool:
        """Wait before a retry, shorter when somebody flushes; False when the batch is to be left on the disk."""
        with self._lock:
            self._retries += 1
        if self._closing:
            seconds = min(seconds, self._limits.backoff_seconds)
        until = time.monotonic() + seconds
        while self._nudges == self._attempt_after and (left := min(until, self._deadline) - time.monotonic()) > 0:
            self._wake.wait(left)
            self._wake.clear()
        return not self._closing or (own and time.monotonic() < self._deadline)
