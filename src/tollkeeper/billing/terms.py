"""What a subscription promises, by date: its plan, its billing periods and its limits."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from tollkeeper.billing.counting import counting_at
from tollkeeper.billing.period import BillingPeriod

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tollkeeper.billing.plan import Plan
    from tollkeeper.billing.subscription import Subscription

__all__ = ["LimitPeriod", "PlanChange", "RouteLimit", "billing_period", "plan_at"]

LimitPeriod = Literal["minute", "hour", "day", "week", "month", "year"]


class PlanChange(Struct, frozen=True, kw_only=True):
    """The plan of a subscription from ``effective_at`` on, which may lie in the future."""

    id: str
    subscription: str
    plan: str
    effective_at: datetime
    created_at: datetime


class RouteLimit(Struct, frozen=True, kw_only=True):
    """How many units a subscription may use in a period, of one endpoint or (None) of all together."""

    id: str
    subscription: str
    endpoint: str | None
    limit: int
    period: LimitPeriod
    created_at: datetime


def plan_at(changes: Iterable[PlanChange], at: datetime) -> str | None:
    """The id of the plan in force at a time; None before the first."""
    begun = [change for change in changes if change.effective_at <= at]
    return max(begun, key=lambda change: (change.effective_at, change.id)).plan if begun else None


def billing_period(
    subscription: Subscription, changes: Iterable[PlanChange], plans: Mapping[str, Plan], time_zone: str, at: datetime
) -> BillingPeriod:
    """The billing period that a time from the start on lies in; the trial is one of its own.

    A plan whose periods are of another length has them counted from its first day, which ends the period before.
    """
    if at < subscription.anchor:
        return BillingPeriod(subscription.started_at, subscription.anchor)
    counting = counting_at(subscription, changes, plans, at)
    period = counting.whole(time_zone, at)
    return BillingPeriod(period.start, min(period.end, counting.until))
