"""Plans: how what was used becomes money."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

from tollkeeper.billing.period import PeriodUnit
from tollkeeper.billing.price import check_amount
from tollkeeper.errors import UnprocessableError

__all__ = ["Plan", "PlanKind", "check_plan"]

PlanKind = Literal["pay_as_you_go", "discount_amount", "discount_percent", "prepaid_volume", "prepaid_value"]
HUNDRED = 100


class Plan(Struct, frozen=True, kw_only=True):
    """A plan by its name. ``amount`` is what its kind says: money off, per cent off, calls or money paid up front.

    ``period`` is how long a billing period is; ``body`` holds what later kinds need, as JSON.
    """

    id: str
    name: str
    kind: PlanKind = "pay_as_you_go"
    amount: Decimal | None = None
    currency: str | None = None
    trial_days: int = 0
    period: PeriodUnit = "month"
    body: dict[str, Any] = field(default_factory=dict)
    created_at: datetime


def check_plan(plan: Plan) -> Plan:
    """Refuse a plan whose parts contradict one another; raises UnprocessableError."""
    if plan.kind == "pay_as_you_go":
        if plan.amount is not None:
            raise UnprocessableError(f"The plan {plan.name!r} is pay_as_you_go: leave amount out.")
        return plan
    if plan.amount is None:
        raise UnprocessableError(f"The plan {plan.name!r} is {plan.kind}: give its amount.")
    check_amount("amount", plan.amount)
    if plan.kind == "discount_percent" and plan.amount > HUNDRED:
        raise UnprocessableError(f"The plan {plan.name!r} takes {plan.amount} per cent off: give up to 100.")
    if plan.kind == "prepaid_volume" and plan.amount.as_integer_ratio()[1] != 1:
        raise UnprocessableError(f"The plan {plan.name!r} sells {plan.amount} calls: give a whole number.")
    if plan.kind in {"discount_amount", "prepaid_value"} and plan.currency is None:
        raise UnprocessableError(f"The plan {plan.name!r} has an amount of money: give its currency.")
    return plan
