"""Subscriptions as they are shown: with names for ids, and what holds now."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.period import BillingPeriod
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiVersion
from tollkeeper.billing.subscription import State, Subscription, SubscriptionPause, state_at
from tollkeeper.billing.terms import PlanChange, RouteLimit, billing_period, plan_at
from tollkeeper.service.limits import NewLimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.store.protocols import Records

__all__ = ["PlannedChange", "SubscriptionView", "show_subscriptions"]


class PlannedChange(Struct, frozen=True):
    """The plan, by name, that a subscription has from a time on."""

    plan: str
    effective_at: datetime


class SubscriptionView(Struct, frozen=True, kw_only=True):
    """A subscription by the names of its plan, API and version; null is every API, every version.

    ``period`` is the billing period of now, ``plans`` all plans it had, has and is to have, in order of time.
    """

    id: str
    customer: str
    api: str | None
    version: str | None
    state: State | None
    plan: str | None
    plans: list[PlannedChange]
    period: BillingPeriod | None
    started_at: datetime
    trial_ends_at: datetime | None
    pauses: list[BillingPause]
    cancelled_at: datetime | None
    ended_at: datetime | None
    has_quota_limits: bool
    limits: list[NewLimit]
    overrides: dict[str, Any]
    created_at: datetime


class BillingPause(Struct, frozen=True):
    """A time in which a subscription serves nothing; it lasts while ``resumed_at`` is null."""

    paused_at: datetime
    resumed_at: datetime | None


class _Parts:
    """What some subscriptions refer to, read at one go."""

    def __init__(self, records: Records, subscriptions: Sequence[Subscription]) -> None:
        ids = [one.id for one in subscriptions]
        self.changes = _grouped(records.find(PlanChange, subscription=ids))
        self.pauses = _grouped(records.find(SubscriptionPause, subscription=ids))
        self.limits = _grouped(records.find(RouteLimit, subscription=ids))
        used = {change.plan for changes in self.changes.values() for change in changes}
        self.plans = {plan.id: plan for plan in records.find(Plan, id=sorted(used))}
        self.customers = {one.id: one for one in records.find(Customer, id=[one.customer for one in subscriptions])}
        apis = records.find(Api, id=[one.api for one in subscriptions if one.api])
        versions = records.find(ApiVersion, id=[one.version for one in subscriptions if one.version])
        self.names: dict[str | None, str | None] = {None: None}
        self.names |= {api.id: api.name for api in apis}
        self.names |= {version.id: version.name for version in versions}


def show_subscriptions(
    records: Records, subscriptions: Sequence[Subscription], now: datetime
) -> list[SubscriptionView]:
    """Subscriptions as they are shown, in the same order."""
    parts = _Parts(records, subscriptions)
    return [_show(parts, subscription, now) for subscription in subscriptions]


def _show(parts: _Parts, one: Subscription, now: datetime) -> SubscriptionView:
    changes, pauses, limits = (found[one.id] for found in (parts.changes, parts.pauses, parts.limits))
    state = state_at(one, pauses, now)
    plan = plan_at(changes, now)
    zone = parts.customers[one.customer].time_zone
    return SubscriptionView(
        id=one.id,
        customer=one.customer,
        api=parts.names[one.api],
        version=parts.names[one.version],
        state=state,
        plan=parts.plans[plan].name if plan else None,
        plans=[
            PlannedChange(parts.plans[change.plan].name, change.effective_at)
            for change in sorted(changes, key=lambda change: change.effective_at)
        ],
        period=None if state in {None, "ended"} else billing_period(one, changes, parts.plans, zone, now),
        started_at=one.started_at,
        trial_ends_at=one.trial_ends_at,
        pauses=[BillingPause(pause.paused_at, pause.resumed_at) for pause in pauses],
        cancelled_at=one.cancelled_at,
        ended_at=one.ended_at,
        has_quota_limits=one.has_quota_limits,
        limits=[NewLimit(endpoint=limit.endpoint, limit=limit.limit, period=limit.period) for limit in limits],
        overrides=one.overrides,
        created_at=one.created_at,
    )


def _grouped(rows: Iterable[Any]) -> defaultdict[str, list[Any]]:
    groups: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row.subscription].append(row)
    return groups
