"""The two steps of a batch, off the request: make its events, then send them until the sink has taken them."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from tollkeeper.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.log import QuietLog

__all__ = ["build_each", "send_until_taken"]

Item = TypeVar("Item")

BACKOFF_CAP_SECONDS = 30.0
RETRY_AFTER_CAP_SECONDS = 300.0
MAX_SURPRISES = 3


def build_each(
    build: Callable[[Item], UsageEvent | None], items: Iterable[Item], pause: Callable[[float], float], log: QuietLog
) -> tuple[list[UsageEvent], int]:
    """Build the event of each item that has one, and count those that are to be left out.

    An item that cannot be built is in neither. Only one thread runs Python at a time: ``pause(began)`` lets the others
    run when it is their turn, and returns since when this one has been running.
    """
    events = []
    excluded = 0
    began = time.perf_counter()
    for item in items:
        try:
            event = build(item)
            if event is None:
                excluded += 1
            else:
                events.append(event)
        except Exception as error:  # noqa: BLE001 - whatever a request of the host may hold
            log.tell("error", "Tollkeeper could not make an event of a request.", error=error)
        began = pause(began)
    return events, excluded


def send_until_taken(
    send: Callable[[list[UsageEvent]], None],
    events: list[UsageEvent],
    pause: Callable[[float], bool],
    backoff_seconds: float,
    log: QuietLog,
) -> str | None:
    """Send, and send again after ``pause(seconds)`` while the sink asks for that; None, or the reason of giving up.

    The reason is ``sink`` when the sink refuses for good, or fails three times with an error that is not a SinkError;
    ``shutdown`` when ``pause`` says that there is no more time.
    """
    failures = 0
    while events:
        after = 0.0
        try:
            send(events)
            break
        except SinkError as error:
            failures += 1
            again, trouble = error.retry, str(error)
            after = min(error.retry_after or 0.0, RETRY_AFTER_CAP_SECONDS)
        except Exception as error:  # noqa: BLE001 - a sink is the user's
            failures += 1
            again, trouble = failures < MAX_SURPRISES, repr(error)
        log.tell("sink", "Tollkeeper could not deliver %d events: %s", len(events), trouble)
        if not again:
            return "sink"
        delay = min(BACKOFF_CAP_SECONDS, backoff_seconds * 2 ** min(failures - 1, 16))
        if not pause(max(after, delay * random.uniform(0.5, 1.0))):  # noqa: S311 - spreads retries, guards no secret
            return "shutdown"
    return None
