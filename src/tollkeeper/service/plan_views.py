"""Plans as they are shown: with what they charge, and the limits of who subscribes to them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from tollkeeper.billing.limit import Limit, OnFailure, Rate, Terms
from tollkeeper.billing.period import PeriodUnit
from tollkeeper.billing.plan import Plan, PlanKind
from tollkeeper.billing.proration import ProrateBy
from tollkeeper.billing.rate_card import CardPrice, rate_card

__all__ = ["PlanView", "show_plan"]


class PlanView(Struct, frozen=True, kw_only=True):
    """A plan; of its ``prices``, ``limits`` and ``rates``, what has its default is left out.

    ``fee`` is what was said, None: 0, or the amount of a prepaid value.
    """

    id: str
    name: str
    kind: PlanKind
    amount: Decimal | None
    currency: str | None
    trial_days: int
    period: PeriodUnit
    fee: Decimal | None
    minimum: Decimal
    prorated: bool
    prorate_by: ProrateBy
    prices: list[CardPrice]
    limits: list[Limit]
    rates: list[Rate]
    on_failure: OnFailure
    created_at: datetime


def show_plan(plan: Plan) -> PlanView:
    """A plan as it is shown."""
    terms, card = Terms.said(plan.body), rate_card(plan)
    return PlanView(
        id=plan.id,
        name=plan.name,
        kind=plan.kind,
        amount=plan.amount,
        currency=plan.currency,
        trial_days=plan.trial_days,
        period=plan.period,
        fee=card.fee if "fee" in plan.body else None,
        minimum=card.minimum,
        prorated=card.prorated,
        prorate_by=card.prorate_by,
        prices=list(card.prices),
        limits=terms.limits,
        rates=terms.rates,
        on_failure=terms.on_failure or "admit",
        created_at=plan.created_at,
    )
