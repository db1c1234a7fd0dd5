"""What is billed of a subscription: billing periods, cut where the plan changes, each with its share of the fees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.counting import Counting, counting_at
from tollkeeper.billing.period import BillingPeriod
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.proration import period_share
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.billing.statement import ChargedPart
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.billing.terms import PlanChange, plan_at
from tollkeeper.events.timestamps import END

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tollkeeper.billing.account import CustomerAccount

__all__ = ["billing_parts"]


def billing_parts(account: CustomerAccount, start: datetime, end: datetime) -> list[ChargedPart]:
    """The parts of all billing periods that end in ``(start, end]``, in the order of subscriptions and of time.

    A period ends early where the subscription does, or where a plan with periods of another length begins. The trial is
    in no part. Nothing of their usage is set. Consecutive spans give each part once.
    """
    facts = account.facts
    plans = {plan.id: plan for plan in facts.plans}
    zones = {customer.id: customer.time_zone for customer in facts.customers}
    found = []
    for subscription in facts.subscriptions:
        changes = [change for change in facts.changes if change.subscription == subscription.id]
        if changes and subscription.customer in zones:
            pauses = [pause for pause in facts.pauses if pause.subscription == subscription.id]
            life = _Life(subscription, changes, pauses, plans, zones[subscription.customer])
            found += [part for whole, span in _periods(life, start, end) for part in _cut(life, whole, span)]
    return found


class _Life(Struct, frozen=True):
    """A subscription with what happens to it."""

    subscription: Subscription
    changes: Sequence[PlanChange]
    pauses: Sequence[SubscriptionPause]
    plans: Mapping[str, Plan]
    zone: str

    @property
    def begin(self) -> datetime:
        """When it begins to cost something."""
        one = self.subscription
        return max(one.started_at, one.anchor, one.trial_ends_at or one.anchor)

    def counting(self, at: datetime) -> Counting:
        """How its periods are counted at a time."""
        return counting_at(self.subscription, self.changes, self.plans, at)


def _periods(life: _Life, start: datetime, end: datetime) -> Iterator[tuple[BillingPeriod, BillingPeriod]]:
    """The periods that end in ``(start, end]``, each whole and as it is cut."""
    last = life.subscription.ended_at or END
    at = max(start, life.begin)
    while at < min(end, last):
        counting = life.counting(at)
        whole = counting.whole(life.zone, at)
        cut = min(whole.end, counting.until, last)
        if cut > end:
            return
        yield whole, BillingPeriod(max(whole.start, life.begin), cut)
        at = cut


def _cut(life: _Life, whole: BillingPeriod, span: BillingPeriod) -> Iterator[ChargedPart]:
    """Cut a period where another plan begins."""
    edges = [span.start]
    for moment in sorted(change.effective_at for change in life.changes):
        if edges[-1] < moment < span.end and plan_at(life.changes, moment) != plan_at(life.changes, edges[-1]):
            edges.append(moment)
    for begin, end in pairwise([*edges, span.end]):
        plan = life.plans.get(plan_at(life.changes, begin) or "")
        if plan is None:
            continue
        yield ChargedPart(
            subscription=life.subscription.id,
            plan=plan,
            period_start=whole.start,
            period_end=whole.end,
            start=begin,
            end=end,
            share=_share(life, whole, BillingPeriod(begin, end), plan),
        )


def _share(life: _Life, whole: BillingPeriod, part: BillingPeriod, plan: Plan) -> Fraction:
    """The share of the fees: what of the period the part is, without the time in which it was paused."""
    by = rate_card(plan).prorate_by
    found, at = Fraction(0), part.start
    for pause in sorted(life.pauses, key=lambda pause: pause.paused_at):
        found += period_share(whole, BillingPeriod(at, min(max(pause.paused_at, at), part.end)), by, life.zone)
        at = min(max(at, pause.resumed_at or END), part.end)
    return found + period_share(whole, BillingPeriod(at, part.end), by, life.zone)
