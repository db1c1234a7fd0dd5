"""Traffic that fails, is slow, or has stopped: read from roll-ups and events, exact."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.events.timestamps import from_microseconds, to_microseconds
from tollkeeper.metering.usage import Filters, Totals
from tollkeeper.service.alerts.finding import Finding
from tollkeeper.service.figures import Metric, figure
from tollkeeper.service.periods import Period
from tollkeeper.service.usage import totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from tollkeeper.store.operations import AlertRule
    from tollkeeper.store.protocols import EventStore, Records

__all__ = ["traffic_findings"]

FEWEST = 10
"""Requests without which a share or a percentile says nothing."""
HOUR = timedelta(hours=1)
LATEST_SEQ = 2**62


class Scope(Struct, frozen=True):
    """What a rule looks at: filters, one for each key of a customer, and how its customer is called."""

    filters: list[Filters]
    customer_name: str | None


def traffic_findings(
    records: Records, events: EventStore, rules: Sequence[AlertRule], now: datetime
) -> Iterator[Finding]:
    """Look at the last ``minutes`` of what each rule is for."""
    for rule in rules:
        judge = JUDGES.get(rule.kind)
        document = judge(events, rule, _scope(records, rule), now) if judge else None
        if document is None:
            continue
        subject = f"{rule.kind}|{rule.id}"
        # A silence is told of once; what goes on is told of anew in each hour.
        cause = document.pop("cause", int(now.timestamp() // HOUR.total_seconds()))
        yield Finding(rule, subject, f"{subject}|{cause}", document)


def _error_rate(events: EventStore, rule: AlertRule, scope: Scope, now: datetime) -> dict[str, Any] | None:
    return _exceeded(events, rule, scope, now, metric="error_rate")


def _latency(events: EventStore, rule: AlertRule, scope: Scope, now: datetime) -> dict[str, Any] | None:
    return _exceeded(events, rule, scope, now, metric="latency_p95")


def _exceeded(
    events: EventStore, rule: AlertRule, scope: Scope, now: datetime, *, metric: Metric
) -> dict[str, Any] | None:
    """Say where a metric stands when it has come to the threshold."""
    start, end = (to_microseconds(at) for at in (now - timedelta(minutes=rule.minutes), now))
    found = reduce(add, (totals(events, Period(start, end), filters) for filters in scope.filters), Totals())
    measured = found.requests if metric == "error_rate" else found.timed
    value = figure(metric, found)
    if measured < FEWEST or value is None or rule.threshold is None or value < rule.threshold:
        return None
    return _document(rule, scope) | {
        "requests": measured,
        "errors": found.errors,
        metric: round(value, 6),
        "threshold": float(rule.threshold),
    }


def _silence(events: EventStore, rule: AlertRule, scope: Scope, now: datetime) -> dict[str, Any] | None:
    """Say when the last request came, when that is too long ago; what never made a sound has not fallen silent."""
    before = (to_microseconds(now), LATEST_SEQ)
    newest = [
        stored for filters in scope.filters for stored in events.page(filters, before=before, after=None, limit=1)
    ]
    last = max(newest, key=lambda stored: stored.event.time_us, default=None)
    quiet_for = timedelta(minutes=rule.minutes)
    if last is None or from_microseconds(last.event.time_us) > now - quiet_for or rule.created_at > now - quiet_for:
        return None
    seen = from_microseconds(last.event.time_us).isoformat(timespec="seconds")
    return _document(rule, scope) | {"last_seen": seen, "cause": last.seq}


JUDGES: dict[str, Callable[[EventStore, AlertRule, Scope, datetime], dict[str, Any] | None]] = {
    "error_rate": _error_rate,
    "latency": _latency,
    "silence": _silence,
}


def _scope(records: Records, rule: AlertRule) -> Scope:
    filters = Filters(api=rule.api, route=rule.endpoint)
    if rule.customer is None:
        return Scope([filters], None)
    customer = records.get(Customer, rule.customer)
    keys = records.find(ApiKey, customer=rule.customer)
    return Scope([replace(filters, consumer=key.fingerprint) for key in keys], customer.name if customer else None)


def _document(rule: AlertRule, scope: Scope) -> dict[str, Any]:
    return {
        "api": rule.api,
        "endpoint": rule.endpoint,
        "customer": rule.customer,
        "customer_name": scope.customer_name,
        "minutes": rule.minutes,
    }
