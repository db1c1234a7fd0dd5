"""Where each limit of a subscription stands now."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.limit import QuotaGrant, Terms, terms_of
from tollkeeper.billing.limit_window import limit_window
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api
from tollkeeper.billing.subscription import SubscriptionPause, state_at
from tollkeeper.billing.terms import LimitPeriod, PlanChange, RouteLimit, plan_at
from tollkeeper.events.timestamps import to_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.billing.limit import Limit, Rate
    from tollkeeper.billing.period import BillingPeriod
    from tollkeeper.billing.subscription import Subscription
    from tollkeeper.store.protocols import QuotaBook, Records

__all__ = ["NEAR", "QuotaState", "QuotaStatus", "quotas_of"]

MICRO = 1_000_000
NEAR = 0.8
"""The share of a quota from which on it is nearly gone."""
GOES_ON = frozenset({"trial", "active", "paused", "cancelled"})

QuotaState = Literal["ok", "near", "exceeded"]


class QuotaStatus(Struct, frozen=True, kw_only=True):
    """A limit in the period that goes on, ``[start, end)``; amounts are units, ``share`` is that of ``quota`` used.

    ``quota`` is the ``limit`` with what was granted and carried over. ``api`` and ``endpoint`` are null where it holds
    for all. ``rates`` are those that the subscription has beside it.
    """

    customer: str
    customer_name: str
    subscription: str
    plan: str
    api: str | None
    endpoint: str | None
    period: LimitPeriod | Literal["billing"]
    name: str
    hard: bool
    limit: int
    granted: Decimal
    carried: Decimal
    quota: Decimal
    used: Decimal
    held: Decimal
    remaining: Decimal
    share: float
    state: QuotaState
    start: datetime
    end: datetime
    rates: list[str]


def quotas_of(
    records: Records, book: QuotaBook, subscriptions: Sequence[Subscription], now: datetime
) -> tuple[list[QuotaStatus], dict[str, list[str]]]:
    """The quotas of subscriptions that go on, by subscription and name; and the rates of each, as text, by its id.

    Read in the same number of queries however many there are.
    """
    reading = _Reading(records, book, subscriptions, now)
    standing = [(one, plan) for one in subscriptions if (plan := reading.plan_of(one)) is not None]
    rates = {one.id: [_rate_text(rate) for rate in reading.terms(one, plan).rates] for one, plan in standing}
    found = [
        reading.status(one, plan, limit, rates[one.id])
        for one, plan in standing
        for limit in reading.terms(one, plan).limits
    ]
    return sorted(found, key=lambda status: (status.subscription, status.name)), rates


class _Reading:
    """What there is to know of some subscriptions at a time, read at one go."""

    def __init__(self, records: Records, book: QuotaBook, subscriptions: Sequence[Subscription], now: datetime) -> None:
        ids = [one.id for one in subscriptions]
        self._now = now
        self._pauses = _by_subscription(records.find(SubscriptionPause, subscription=ids))
        self._changes = _by_subscription(records.find(PlanChange, subscription=ids))
        self._own = _by_subscription(records.find(RouteLimit, subscription=ids))
        self._grants = _by_subscription(records.find(QuotaGrant, subscription=ids))
        plans = sorted({change.plan for changes in self._changes.values() for change in changes})
        self._plans = {plan.id: plan for plan in records.find(Plan, id=plans)}
        self._customers = {
            one.id: one for one in records.find(Customer, id=sorted({one.customer for one in subscriptions}))
        }
        apis = sorted({one.api for one in subscriptions if one.api})
        self._apis: dict[str | None, str | None] = {api.id: api.name for api in records.find(Api, id=apis)}
        self._counters = {counter.id: counter for counter in book.counters_of(ids, since=to_microseconds(now))}
        self._terms: dict[tuple[str, str | None], Terms] = {}
        self._windows: dict[tuple[Limit, str], BillingPeriod] = {}

    def plan_of(self, one: Subscription) -> Plan | None:
        """The plan of a subscription that goes on; None of one that has not begun, or has ended."""
        if state_at(one, self._pauses[one.id], self._now) not in GOES_ON:
            return None
        return self._plans.get(plan_at(self._changes[one.id], self._now) or "")

    def terms(self, one: Subscription, plan: Plan) -> Terms:
        """Its limits and rates, those without a figure left out."""
        # Most subscriptions say nothing of their own, so they share what their plan says.
        own = one.id if one.overrides or self._own[one.id] else None
        if (plan.id, own) not in self._terms:
            said = terms_of(plan, one, self._own[one.id])
            self._terms[plan.id, own] = Terms(
                limits=[limit for limit in said.limits if limit.limit is not None],
                rates=[rate for rate in said.rates if rate.rate is not None],
            )
        return self._terms[plan.id, own]

    def status(self, one: Subscription, plan: Plan, limit: Limit, rates: list[str]) -> QuotaStatus:
        customer = self._customers[one.customer]
        window = self._window(one, limit, customer.time_zone)
        counter = self._counters.get(f"{one.id}|{limit.name}|{to_microseconds(window.start)}")
        used, held, carried = (counter.used, counter.held, counter.carried) if counter else (0, 0, 0)
        granted = sum(
            grant.units
            for grant in self._grants[one.id]
            if grant.limit == limit.name and window.start <= grant.at < window.end
        )
        figure = limit.limit or 0
        quota = figure * MICRO + carried + granted
        share = used / quota if quota else 1.0
        return QuotaStatus(
            customer=customer.id,
            customer_name=customer.name,
            subscription=one.id,
            plan=plan.name,
            api=limit.api or self._apis.get(one.api),
            endpoint=limit.endpoint,
            period=limit.period,
            name=limit.name,
            hard=limit.hard,
            limit=figure,
            granted=_units(granted),
            carried=_units(carried),
            quota=_units(quota),
            used=_units(used),
            held=_units(held),
            remaining=_units(max(quota - used - held, 0)),
            share=share,
            state="exceeded" if used >= quota else "near" if share >= NEAR else "ok",
            start=window.start,
            end=window.end,
            rates=rates,
        )

    def _window(self, one: Subscription, limit: Limit, time_zone: str) -> BillingPeriod:
        if limit.period == "billing":
            return limit_window(limit, one, self._changes[one.id], self._plans, time_zone, self._now)
        if (limit, time_zone) not in self._windows:
            window = limit_window(limit, one, (), self._plans, time_zone, self._now)
            self._windows[limit, time_zone] = window
        return self._windows[limit, time_zone]


def _units(micro: int) -> Decimal:
    """Millionths as units, a whole number without an exponent."""
    whole, rest = divmod(micro, MICRO)
    return Decimal(micro) / MICRO if rest else Decimal(whole)


def _rate_text(rate: Rate) -> str:
    burst = f", {rate.burst:,} at once" if rate.burst is not None else ""
    parts = [part for part in (rate.endpoint, rate.api) if part is not None]
    scope = f" of {' of '.join(parts)}" if parts else ""
    return f"{rate.rate or 0:,} a {rate.per}{burst}{scope}"


def _by_subscription(rows: Iterable[Any]) -> defaultdict[str, list[Any]]:
    groups: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row.subscription].append(row)
    return groups
