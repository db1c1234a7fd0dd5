"""Telling that a period of a limit is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tollkeeper.billing.counter import Counter
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.metering.window import HOUR
from tollkeeper.service.alerts.raising import raise_alert
from tollkeeper.service.subscription_limits import SubscriptionLimits, limit_name
from tollkeeper.store.operations import AlertRule
from tollkeeper.store.protocols import RecordStore

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.billing.limit import Limit

__all__ = ["Notify", "tell_of_periods"]

Notify = Callable[[RecordStore, SubscriptionLimits, Sequence[Counter]], None]
"""Told of counters whose period is over, before they are closed."""

MICRO = 1_000_000
SHORTEST = 23 * HOUR
"""A day when clocks are put forward. Of shorter periods nobody wants to hear each time."""


def tell_of_periods(store: RecordStore, known: SubscriptionLimits, ended: Sequence[Counter]) -> None:
    """Raise the alert ``quota_reset`` for each period of a day or longer in which anything was used; idempotent."""
    wanted = [counter for counter in ended if counter.used and counter.ends_at - counter.starts_at >= SHORTEST]
    with store.reading() as records:
        rules = records.find(AlertRule, kind="quota_reset", paused=False)
    if not wanted or not rules:
        return
    with store.writing() as records:
        for counter in wanted:
            if counter.subscription in known.subscriptions:
                raise_alert(
                    records,
                    kind="quota_reset",
                    subject=f"quota_reset {counter.id}",
                    cause=f"quota_reset {counter.id}",
                    document=_document(known, counter),
                )


def _document(known: SubscriptionLimits, counter: Counter) -> dict[str, Any]:
    subscription = known.subscriptions[counter.subscription]
    customer = known.customer(subscription)
    start, end = from_microseconds(counter.starts_at), from_microseconds(counter.ends_at)
    limit = _limit(known, counter, start)
    return {
        "customer": customer.id,
        "customer_name": customer.name,
        "subscription": subscription.id,
        "api": limit.api if limit else None,
        "endpoint": limit.endpoint if limit else None,
        "limit": limit_name(counter),
        "used": counter.used / MICRO,
        "allowed": ((limit.limit or 0) * MICRO + known.granted(counter) + counter.carried) / MICRO if limit else None,
        "starts_at": start.isoformat(),
        "ends_at": end.isoformat(),
    }


def _limit(known: SubscriptionLimits, counter: Counter, at: datetime) -> Limit | None:
    return known.limits(known.subscriptions[counter.subscription], at).get(limit_name(counter))
