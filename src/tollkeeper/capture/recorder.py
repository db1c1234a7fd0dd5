"""The observer behind every door: takes finished exchanges, and makes, queues and delivers their events."""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tollkeeper.capture.document import Rules, build_event
from tollkeeper.capture.fanout import Shared, add_up, divided
from tollkeeper.capture.lane import Destination, Lane
from tollkeeper.capture.redact import Redactor
from tollkeeper.capture.useragent import platform_and_browser
from tollkeeper.log import QuietLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.options import CaptureOptions
    from tollkeeper.capture.queue import Queue, QueueLimits, Stats
    from tollkeeper.events.event import UsageEvent

__all__ = ["Recorder"]


class Recorder:
    """Owns a lane to each sink of a door, by name; nothing here raises, blocks or reaches the host. Safe in threads.

    What goes wrong is told to ``logger``; ``redactor`` decides what of the events is hidden.
    """

    def __init__(
        self,
        sinks: Mapping[str, Destination],
        options: CaptureOptions,
        limits: QueueLimits,
        *,
        logger: str = "tollkeeper",
        redactor: type[Redactor] = Redactor,
    ) -> None:
        self.options = options
        self.log = QuietLog(logger)
        hide = redactor(
            options.deny, options.allow, emails=options.hide_emails, custom=options.redact, failed=self._redact_failed
        )
        self.build: Callable[[Exchange], UsageEvent | None] = partial(build_event, rules=Rules(options, hide))
        platform_and_browser("Mozilla/5.0")  # imports now: a fork must not find the thread in the middle of that
        self._limits = limits
        self._lanes: dict[str, Lane[Any]] = {}
        self._put: Callable[[Exchange, int], None] = self._put_in_each
        self._hand: Callable[[Exchange], None] = self._weigh_and_put
        self._queues: list[Queue[Any]] = []
        if len(sinks) == 1:
            self._lanes = {
                name: Lane(to, self.build, limits, self.log, together=self._queues) for name, to in sinks.items()
            }
            (lane,) = self._lanes.values()
            self._put, self._hand = lane.queue.put, lane.queue.hand
        else:
            build = partial(Shared[Any].event, build=self.build)
            limits = divided(limits, len(sinks))
            for name, to in sinks.items():
                log = QuietLog(logger, about=f"Sink {name!r}: ", beside=self.log)
                self._lanes[name] = Lane(to, build, limits, log, together=self._queues)
        self.keeps_details = options.level != "metadata"

    def is_sampled(self) -> bool:
        """Whether headers and bodies of the next request are kept where ``keeps_details`` says that any are."""
        share = self.options.sample
        return share >= 1 or random.random() < share  # noqa: S311 - guards no secret

    def finish(self, exchange: Exchange) -> None:
        """Hand over a finished exchange; the door does not touch it any more."""
        try:
            exchange.finished = True
            if exchange.plain:
                self._hand(exchange)
            elif exchange.skipped:
                for queue in self._queues:
                    queue.exclude()
            else:
                self._put(exchange, exchange.weight())
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Count an exchange that could not be observed, and say why in the log."""
        for queue in self._queues:
            queue.lost("error")
        self.log.tell("observe", "Tollkeeper could not observe a request.", error=error)

    def trouble(self, error: Exception) -> None:
        """Count something that went wrong with an exchange that goes on, and say so in the log."""
        self.log.tell("observe", "Tollkeeper could not observe all of a request.", error=error)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was observed so far has left to all sinks; False when some of it still waits."""
        lanes = list(self._lanes.values())
        if len(lanes) == 1:
            return lanes[0].flush(timeout)
        until = time.monotonic() + (self._limits.shutdown_seconds if timeout is None else timeout)
        for lane in lanes:  # told first, so that none of them waits for another
            lane.flush(0)
        return all(lane.flush(max(0.0, until - time.monotonic())) for lane in lanes)

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what waits and end; False when something was lost by that."""
        kept = [queue.close(timeout) for queue in self._queues]
        return all(kept)

    def stats(self) -> Stats:
        """Count what became of everything that this process observed."""
        sinks = {name: lane.stats() for name, lane in self._lanes.items()}
        if len(sinks) == 1:
            (alone,) = sinks.values()
            return replace(alone, sinks=sinks)
        return add_up(sinks, self.log.counts())

    def _weigh_and_put(self, exchange: Exchange) -> None:
        self._put(exchange, exchange.weight())

    def _put_in_each(self, exchange: Exchange, size: int) -> None:
        shared = Shared(exchange)
        for queue in self._queues:
            queue.put(shared, size)

    def _redact_failed(self, error: BaseException) -> None:
        self.log.tell("redact", "Tollkeeper: the function for 'redact' failed; the value is hidden.", error=error)
