"""The end of a period: its counters are closed, and units that are left come over into the next one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.events.timestamps import from_microseconds, to_microseconds
from tollkeeper.service.subscription_limits import SubscriptionLimits, limit_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.counter import Counter
    from tollkeeper.billing.limit import Limit
    from tollkeeper.service.quota_notices import Notify
    from tollkeeper.store.protocols import QuotaBook, Quotas, RecordStore

__all__ = ["reset_quotas"]

MICRO = 1_000_000
AT_ONCE = 500
INSTANT = timedelta(microseconds=1)
HOUR = 3_600_000_000
DAY = 24 * HOUR


def reset_quotas(store: RecordStore, quotas: Quotas, notify: Notify, now: datetime | None = None) -> int:
    """Close the counters whose period is over, the earliest first; how many.

    What comes over is worked out anew each time that a counter is closed, and set, not added: so it is right also when
    something was counted after the end, which opens the counter again. ``notify`` is told before; it is idempotent.
    """
    now = now or datetime.now(UTC)
    closed = 0
    while ended := _ended(quotas, to_microseconds(now)):
        known = SubscriptionLimits(store, {counter.subscription for counter in ended})
        notify(store, known, ended)
        with quotas.writing() as book:
            closed += _close(book, known, [counter.id for counter in ended], to_microseconds(now))
    return closed


def _ended(quotas: Quotas, now: int) -> list[Counter]:
    with quotas.reading() as book:
        return book.ended(now, AT_ONCE)


def _close(book: QuotaBook, known: SubscriptionLimits, ids: Sequence[str], now: int) -> int:
    """Close counters that are still to be closed; how many."""
    counters = book.counters(ids)
    closed = 0
    for counter_id in ids:
        counter = counters[counter_id]
        if counter.closed_at is not None:
            continue
        limit = _limit_of(known, counter)
        if limit is not None:
            counter = replace(counter, ends_at=_end(known, counter, limit))
            if counter.ends_at > now:  # the plan was changed, and with it the length of its periods
                counters[counter_id] = counter
                continue
            if _is_remembered(counter, now):
                _carry_over(book, counters, known, counter, limit)
        counters[counter_id] = replace(counter, closed_at=now)
        closed += 1
    book.put(list(counters.values()))
    return closed


def _limit_of(known: SubscriptionLimits, counter: Counter) -> Limit | None:
    """The limit that a counter is of, as it was in the end; None where there is none any more."""
    subscription = known.subscriptions.get(counter.subscription)
    if subscription is None:
        return None
    return known.limits(subscription, from_microseconds(counter.ends_at) - INSTANT).get(limit_name(counter))


def _is_remembered(counter: Counter, now: int) -> bool:
    """Whether all is there that was counted: what is over for a day is forgotten of minutes and hours."""
    return counter.ends_at - counter.starts_at > HOUR or counter.ends_at > now - DAY


def _end(known: SubscriptionLimits, counter: Counter, limit: Limit) -> int:
    subscription = known.subscriptions[counter.subscription]
    fresh = known.fresh(subscription, limit, from_microseconds(counter.starts_at))
    return fresh.ends_at if fresh.id == counter.id else counter.ends_at


def _carry_over(
    book: QuotaBook, counters: dict[str, Counter], known: SubscriptionLimits, counter: Counter, limit: Limit
) -> None:
    """Let the next period have what is left of one, up to what the limit says; what is still held counts as used.

    Where units can carry over again the next period begins with none, too: unused, it has some to hand on.
    """
    subscription, end = known.subscriptions[counter.subscription], from_microseconds(counter.ends_at)
    following = known.limits(subscription, end).get(limit.name)
    if following is None:
        return
    room = (limit.limit or 0) * MICRO + known.granted(counter) + counter.carried
    carried = max(min(limit.carry_over * MICRO, room - counter.used - counter.held), 0)
    fresh = known.fresh(subscription, following, end)
    present = counters.get(fresh.id) or book.counters([fresh.id]).get(fresh.id)
    begins = present is None and following.carry_over > 0
    if begins or carried != (present.carried if present else 0):
        counters[fresh.id] = replace(present or fresh, carried=carried, closed_at=None)
