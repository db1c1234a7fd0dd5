"""The limits of subscriptions at any time, with all that tells how much they leave."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tollkeeper.billing.counter import Counter
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.limit import QuotaGrant, terms_of
from tollkeeper.billing.limit_window import limit_window
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription
from tollkeeper.billing.terms import PlanChange, RouteLimit, plan_at
from tollkeeper.events.timestamps import from_microseconds, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tollkeeper.billing.limit import Limit
    from tollkeeper.store.protocols import RecordStore

__all__ = ["SubscriptionLimits", "limit_name"]


class SubscriptionLimits:
    """Knows some subscriptions, by their ids, as the catalogue had them when this was made."""

    def __init__(self, store: RecordStore, subscriptions: Iterable[str]) -> None:
        with store.reading() as records:
            found = records.find(Subscription, id=sorted(set(subscriptions)))
            ids = [one.id for one in found]
            customers = records.find(Customer, id=sorted({one.customer for one in found}))
            changes = records.find(PlanChange, subscription=ids)
            route_limits = records.find(RouteLimit, subscription=ids)
            grants = records.find(QuotaGrant, subscription=ids)
            self._plans = {plan.id: plan for plan in records.find(Plan)}
        self.subscriptions = {one.id: one for one in found}
        self._customers = {one.id: one for one in customers}
        self._changes: defaultdict[str, list[PlanChange]] = defaultdict(list)
        for change in changes:
            self._changes[change.subscription].append(change)
        self._route_limits: defaultdict[str, list[RouteLimit]] = defaultdict(list)
        for limit in route_limits:
            self._route_limits[limit.subscription].append(limit)
        self._grants: defaultdict[str, list[QuotaGrant]] = defaultdict(list)
        for grant in grants:
            self._grants[grant.subscription].append(grant)

    def customer(self, subscription: Subscription) -> Customer:
        """Whose a subscription is."""
        return self._customers[subscription.customer]

    def limits(self, subscription: Subscription, at: datetime) -> dict[str, Limit]:
        """The limits in force at a time that have a figure, by their names; none of a subscription that has ended."""
        if not subscription.started_at <= at or (subscription.ended_at is not None and subscription.ended_at <= at):
            return {}
        plan = plan_at(self._changes[subscription.id], at)
        terms = terms_of(self._plans.get(plan or ""), subscription, self._route_limits[subscription.id])
        return {limit.name: limit for limit in terms.limits if limit.limit is not None}

    def fresh(self, subscription: Subscription, limit: Limit, at: datetime) -> Counter:
        """The counter of a limit at a time, before anything is counted."""
        changes = self._changes[subscription.id]
        time_zone = self.customer(subscription).time_zone
        period = limit_window(limit, subscription, changes, self._plans, time_zone, at)
        start, end = to_microseconds(period.start), to_microseconds(period.end)
        return Counter(
            id=f"{subscription.id}|{limit.name}|{start}", subscription=subscription.id, starts_at=start, ends_at=end
        )

    def granted(self, counter: Counter) -> int:
        """The units (millionths) that were granted for the period of a counter."""
        start, end = from_microseconds(counter.starts_at), from_microseconds(counter.ends_at)
        name = limit_name(counter)
        return sum(
            grant.units
            for grant in self._grants[counter.subscription]
            if grant.limit == name and start <= grant.at < end
        )


def limit_name(counter: Counter) -> str:
    """The name of the limit that a counter is of."""
    return counter.id.removeprefix(f"{counter.subscription}|").rpartition("|")[0]
