"""The observer behind every door: takes finished exchanges, and makes, queues and delivers their events."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.capture.document import Rules, build_event
from tollkeeper.capture.log import QuietLog
from tollkeeper.capture.queue import Queue, QueueLimits, Stats
from tollkeeper.capture.redact import Redactor
from tollkeeper.capture.spool.forwarder import Forwarder
from tollkeeper.capture.useragent import platform_and_browser

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.options import CaptureOptions
    from tollkeeper.capture.spool.spool import Spool
    from tollkeeper.events.event import UsageEvent

__all__ = ["Recorder"]


class Recorder:
    """Owns the queue of a door; nothing here raises, blocks or reaches the host. Safe in threads."""

    def __init__(
        self,
        send: Callable[[Sequence[UsageEvent]], None],
        close_sink: Callable[[], None],
        options: CaptureOptions,
        limits: QueueLimits,
        spool: Spool | None = None,
    ) -> None:
        self.options = options
        self.log = QuietLog()
        redactor = Redactor(
            options.deny, options.allow, emails=options.hide_emails, custom=options.redact, failed=self._redact_failed
        )
        build = partial(build_event, rules=Rules(options, redactor))
        platform_and_browser("Mozilla/5.0")  # imports now: a fork must not find the thread in the middle of that
        self._forwarder: Forwarder | None = None
        if spool is not None:
            self._forwarder = Forwarder(spool, send, close_sink, limits, self.log)
            send, close_sink = self._forwarder.send, self._forwarder.close
            limits = replace(limits, flush_seconds=min(limits.flush_seconds, limits.spool_seconds))
        self._queue: Queue[Exchange] = Queue(build, send, close_sink, limits, self.log)
        self.keeps_details = options.level != "metadata"

    def is_sampled(self) -> bool:
        """Whether headers and bodies of the next request are kept where ``keeps_details`` says that any are."""
        share = self.options.sample
        return share >= 1 or random.random() < share  # noqa: S311 - guards no secret

    def finish(self, exchange: Exchange) -> None:
        """Hand over a finished exchange; the door does not touch it any more."""
        try:
            exchange.finished = True
            if exchange.skipped:
                self._queue.exclude()
            else:
                self._queue.put(exchange, exchange.weight())
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Count an exchange that could not be observed, and say why in the log."""
        self._queue.lost("error")
        self.log.tell("observe", "Tollkeeper could not observe a request.", error=error)

    def trouble(self, error: Exception) -> None:
        """Count something that went wrong with an exchange that goes on, and say so in the log."""
        self.log.tell("observe", "Tollkeeper could not observe all of a request.", error=error)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was observed so far has left; False when some of it still waits."""
        if self._forwarder is None:
            return self._queue.flush(timeout)
        began = time.monotonic()
        if not self._queue.flush(timeout):
            return False
        return self._forwarder.flush(None if timeout is None else max(0.0, timeout - (time.monotonic() - began)))

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what waits and end; False when something was lost by that."""
        return self._queue.close(timeout)

    def stats(self) -> Stats:
        """Count what became of everything that this process observed."""
        # The spool's first: what it has let go of was captured before that.
        spool = None if self._forwarder is None else self._forwarder.stats()
        stats = self._queue.stats()
        if spool is None:
            return stats
        dropped = Counter(stats.dropped) + Counter(spool.own.dropped)
        # A batch may be on its way from one to the other: what neither has let go of is still queued.
        gone = stats.excluded + spool.own.sent + spool.own.spooled + dropped.total()
        return replace(
            stats,
            sent=spool.own.sent,
            spooled=spool.own.spooled,
            queued=stats.captured - gone,
            adopted=spool.adopted.sent,
            retries=stats.retries + spool.retries,
            dropped=dict(dropped),
        )

    def _redact_failed(self, error: BaseException) -> None:
        self.log.tell("redact", "Tollkeeper: the function for 'redact' failed; the value is hidden.", error=error)
