"""What the observer of an app hands its requests to: makes logs of them, and delivers those by the buffer."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from werkzeug.wsgi import ClosingIterator

from tollkeeper.capture.inline import InlineQueue
from tollkeeper.capture.options import CaptureOptions
from tollkeeper.capture.queue import Queue, QueueLimits, Stats
from tollkeeper.compat.readme_metrics.note import MAX_BODY_BYTES, Observed
from tollkeeper.compat.readme_metrics.payload import build_log
from tollkeeper.compat.readme_metrics.redaction import Lists
from tollkeeper.log import QuietLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.wsgi_watch import Watch
    from tollkeeper.compat.readme_metrics.config import MetricsApiConfig
    from tollkeeper.compat.readme_metrics.note import Note
    from tollkeeper.sinks.readme import ReadMeSink

__all__ = ["LogRecorder"]

AT_HAND = {ClosingIterator, list, tuple}
"""Answers that come to their end by themselves; in any other, a middleware may still change its mind and the status."""
FOR_EVER = 10 * 365 * 86_400.0
LEAST_LOGS, LEAST_SHUTDOWN_SECONDS = 10_000, 5.0


class LogRecorder:
    """Owns the queue of logs; nothing here raises or reaches the host, and it blocks only where that is asked for."""

    keeps_details = True
    options = CaptureOptions(level="bodies", max_body_bytes=MAX_BODY_BYTES, content_types=("*/*",))

    def __init__(self, config: MetricsApiConfig, sink: ReadMeSink) -> None:
        self.log = QuietLog()
        self._sink = sink
        kind = Queue if config.background_worker_mode else InlineQueue
        build = partial(build_log, lists=Lists(config.denylist, config.allowlist), development=config.development_mode)
        limits = QueueLimits(
            events=max(LEAST_LOGS, 2 * config.buffer_length),
            batch_events=config.buffer_length,
            batch_bytes=16 * 2**20,
            flush_seconds=FOR_EVER,
            shutdown_seconds=max(LEAST_SHUTDOWN_SECONDS, config.timeout + 1),
        )
        self._queue: Queue[Observed] = kind(build, self._send, sink.close, limits, self.log)  # type: ignore[arg-type]  # logs, not events

    def is_sampled(self) -> bool:
        """Every request is logged in full."""
        return True

    def finish(self, exchange: Exchange) -> None:
        """Take a finished exchange; one of which nobody noted who called is left out."""
        try:
            exchange.finished = True
            note: Note | None = exchange.note
            if exchange.skipped or note is None:
                self._queue.exclude()
            else:
                self._put(Observed.of(exchange, note, exchange.elapsed))
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self.fail(error)

    def finish_early(self, watch: Watch, result: Iterable[bytes]) -> bool:
        """Take an exchange whose answer is all known though it has not left, and say so; what follows is not logged."""
        try:
            note: Note | None = watch.note
            if note is None or note.answer is None or watch.skipped or type(result) not in AT_HAND:
                return False
            watch.environ = None  # the observer hands it over no more
            watch.finished = True
            watch.let_go()
            watch.keep_bodies()
            self._put(Observed.of(watch, note, perf_counter() - watch.started))
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self.fail(error)
        return True

    def fail(self, error: Exception) -> None:
        """Count an exchange that could not be observed, and say why in the log."""
        self._queue.lost("error")
        self.log.tell("observe", "Tollkeeper could not observe a request.", error=error)

    def trouble(self, error: Exception) -> None:
        """Say in the log what went wrong with an exchange that goes on."""
        self.log.tell("observe", "Tollkeeper could not observe all of a request.", error=error)

    def flush(self, timeout: float | None) -> bool:
        """Send what waits, however few; False when some of it still waits after ``timeout`` seconds."""
        return self._queue.flush(timeout)

    def close(self, timeout: float | None) -> bool:
        """Send what waits and end; False when something was lost by that."""
        return self._queue.close(timeout)

    def stats(self) -> Stats:
        """Count what this process observed, and what became of it."""
        return self._queue.stats()

    def _put(self, observed: Observed) -> None:
        self._queue.put(observed, observed.weight())

    def _send(self, logs: Sequence[Any]) -> int:
        before = self._sink.rejected
        self._sink.post(logs)
        return self._sink.rejected - before
