"""Where billing periods are counted from: each plan whose periods are of another length begins to count anew."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.period import BillingPeriod, PeriodUnit, period_at
from tollkeeper.events.timestamps import END

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tollkeeper.billing.plan import Plan
    from tollkeeper.billing.subscription import Subscription
    from tollkeeper.billing.terms import PlanChange

__all__ = ["Counting", "counting_at"]


class Counting(Struct, frozen=True):
    """Periods of one length, counted from ``anchor`` on; ``until`` then, which cuts the last of them."""

    anchor: datetime
    unit: PeriodUnit
    until: datetime

    def whole(self, time_zone: str, at: datetime) -> BillingPeriod:
        """The period that a time lies in, not cut."""
        period = period_at(self.anchor, self.unit, time_zone, at)
        return BillingPeriod(max(period.start, self.anchor), period.end)


def counting_at(
    subscription: Subscription, changes: Iterable[PlanChange], plans: Mapping[str, Plan], at: datetime
) -> Counting:
    """How the periods of a subscription are counted at a time from its anchor on."""
    ordered = sorted(changes, key=lambda change: (change.effective_at, change.id))
    anchor, unit = subscription.anchor, plans[ordered[0].plan].period
    for change in ordered[1:]:
        if plans[change.plan].period == unit:
            continue
        if change.effective_at > at:
            return Counting(anchor, unit, change.effective_at)
        anchor, unit = max(change.effective_at, subscription.anchor), plans[change.plan].period
    return Counting(anchor, unit, END)
