"""The period of a limit that a time lies in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

from tollkeeper.billing.period import BillingPeriod, period_at
from tollkeeper.billing.terms import billing_period
from tollkeeper.events.timestamps import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tollkeeper.billing.limit import Limit
    from tollkeeper.billing.period import PeriodUnit
    from tollkeeper.billing.plan import Plan
    from tollkeeper.billing.subscription import Subscription
    from tollkeeper.billing.terms import PlanChange

__all__ = ["limit_window"]

CLOCK = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
NEW_YEARS_MONDAY = 2001, 1, 1
"""On this day a week, a month and a year began, so calendar periods of each kind are counted from it."""


def limit_window(  # noqa: PLR0917  # a limit and the five that billing_period takes, in its order
    limit: Limit,
    subscription: Subscription,
    changes: Iterable[PlanChange],
    plans: Mapping[str, Plan],
    time_zone: str,
    at: datetime,
) -> BillingPeriod:
    """The period ``[start, end)`` of a limit, in UTC, that a time lies in; periods follow one another without a gap.

    Minutes and hours are those of the UTC clock. Longer ones are those of the calendar in the time zone, weeks from
    Monday, or count from the limit's anchor, its time of day there. ``billing`` is the billing period, which a time
    before the subscription has none of; ``changes`` and ``plans`` (by id) are those of the subscription.
    """
    if limit.period == "billing":
        return billing_period(subscription, changes, plans, time_zone, at)
    if limit.period in CLOCK:
        length = CLOCK[limit.period]
        start = EPOCH + (at - EPOCH) // length * length
        return BillingPeriod(start, start + length)
    unit = cast("PeriodUnit", limit.period)
    return period_at(limit.anchor or datetime(*NEW_YEARS_MONDAY, tzinfo=ZoneInfo(time_zone)), unit, time_zone, at)
