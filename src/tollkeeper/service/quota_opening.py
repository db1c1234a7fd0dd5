"""Counters that carry units over begin before anything is counted, so that a period of no use counts too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription
from tollkeeper.service.subscription_limits import SubscriptionLimits

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Quotas, RecordStore

__all__ = ["open_quotas_that_carry"]

PAGE = 500


def open_quotas_that_carry(store: RecordStore, quotas: Quotas, now: datetime | None = None) -> int:
    """Make the counters of this period for all limits with a ``carry_over``, where there are none; how many.

    The next ones are made when these are closed.
    """
    now = now or datetime.now(UTC)
    opened = 0
    with store.reading() as records:
        in_plans = any(_carries(plan.body) for plan in records.find(Plan))
    after: str | None = None
    while True:
        with store.reading() as records:
            page = records.page(Subscription, after=after, limit=PAGE)
        if not page:
            return opened
        after = page[-1].id
        wanted = [one.id for one in page if in_plans or _carries(one.overrides)]
        if wanted:
            opened += _open(store, quotas, wanted, now)


def _carries(terms: dict[str, object]) -> bool:
    limits = terms.get("limits")
    return isinstance(limits, list) and any(limit.get("carry_over") for limit in limits)


def _open(store: RecordStore, quotas: Quotas, subscriptions: list[str], now: datetime) -> int:
    known = SubscriptionLimits(store, subscriptions)
    fresh = [
        known.fresh(subscription, limit, now)
        for subscription in known.subscriptions.values()
        for limit in known.limits(subscription, now).values()
        if limit.carry_over
    ]
    if not fresh:
        return 0
    with quotas.reading() as book:
        present = book.counters([counter.id for counter in fresh])
    if len(present) == len(fresh):
        return 0
    with quotas.writing() as book:
        present = book.counters([counter.id for counter in fresh])
        missing = [counter for counter in fresh if counter.id not in present]
        book.put(missing)
    return len(missing)
