"""Limits that are gone to a share of them that a rule tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollkeeper.billing.product import Api
from tollkeeper.billing.subscription import Subscription
from tollkeeper.events.timestamps import from_microseconds, to_microseconds
from tollkeeper.service.alerts.finding import Finding
from tollkeeper.service.alerts.raising import matches
from tollkeeper.service.subscription_limits import SubscriptionLimits, limit_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from tollkeeper.billing.counter import Counter
    from tollkeeper.store.operations import AlertRule
    from tollkeeper.store.protocols import Quotas, RecordStore

__all__ = ["quota_findings"]

SHARES = (0.8, 1.0)
MICRO = 1_000_000
CHUNK = 1_000


def quota_findings(store: RecordStore, quotas: Quotas, rules: Sequence[AlertRule], now: datetime) -> Iterator[Finding]:
    """Compare the open periods of subscriptions with their limits, carried and granted units included.

    A rule without a threshold tells of 80 % and of 100 %. Of shares that were passed at once, the highest is told.
    """
    if not rules:
        return
    scopes = {rule.customer for rule in rules}
    where = {} if None in scopes else {"customer": sorted(scope for scope in scopes if scope)}
    with store.reading() as records:
        found = records.find(Subscription, **where)
        apis: dict[str | None, str] = {api.id: api.name for api in records.find(Api)}
    counters = _used(quotas, [one.id for one in found if one.ended_at is None or one.ended_at > now], now)
    known = SubscriptionLimits(store, [counter.subscription for counter in counters])
    for counter in counters:
        document = _describe(known, apis, counter, now)
        if document is not None:
            yield from _passed(rules, counter, document)


def _used(quotas: Quotas, subscriptions: Sequence[str], now: datetime) -> list[Counter]:
    """The counters of open periods that count anything."""
    at = to_microseconds(now)
    with quotas.reading() as book:
        return [
            counter
            for start in range(0, len(subscriptions), CHUNK)
            for counter in book.counters_of(subscriptions[start : start + CHUNK], since=at)
            if counter.used and counter.starts_at <= at < counter.ends_at
        ]


def _passed(rules: Sequence[AlertRule], counter: Counter, document: dict[str, Any]) -> Iterator[Finding]:
    for rule in rules:
        shares = SHARES if rule.threshold is None else (float(rule.threshold),)
        share = max((one for one in shares if document["used"] >= one * document["allowed"]), default=None)
        if share is not None and matches(rule, document):
            cause = f"quota|{counter.id}|{share:g}"
            yield Finding(rule, cause, cause, document | {"share": share})


def _describe(
    known: SubscriptionLimits, apis: Mapping[str | None, str], counter: Counter, now: datetime
) -> dict[str, Any] | None:
    """What there is to say of a counter; None when its limit is not there any more, or allows nothing."""
    subscription = known.subscriptions[counter.subscription]
    limit = known.limits(subscription, now).get(limit_name(counter))
    allowed = (limit.limit or 0) * MICRO + counter.carried + known.granted(counter) if limit else 0
    if limit is None or allowed <= 0:
        return None
    return {
        "api": limit.api or apis.get(subscription.api),
        "endpoint": limit.endpoint,
        "customer": subscription.customer,
        "customer_name": known.customer(subscription).name,
        "subscription": subscription.id,
        "limit": limit.name,
        "hard": limit.hard,
        "used": counter.used / MICRO,
        "allowed": allowed / MICRO,
        "starts_at": from_microseconds(counter.starts_at).isoformat(),
        "ends_at": from_microseconds(counter.ends_at).isoformat(),
    }
