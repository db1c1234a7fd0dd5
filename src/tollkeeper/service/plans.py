"""Plans: made, changed and found."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace

from tollkeeper.billing.currencies import check_currency
from tollkeeper.billing.limit import Limit, OnFailure, Rate, Terms
from tollkeeper.billing.limit_check import check_terms
from tollkeeper.billing.period import PeriodUnit
from tollkeeper.billing.plan import Plan, PlanKind, check_plan
from tollkeeper.billing.price import check_amount
from tollkeeper.billing.proration import ProrateBy
from tollkeeper.billing.rate_card import CardPrice, RateCard, rate_card
from tollkeeper.billing.terms import PlanChange
from tollkeeper.errors import ConflictError
from tollkeeper.events.ids import record_id
from tollkeeper.service.fields import Currency, Name
from tollkeeper.service.listing import find_record
from tollkeeper.service.selling.plan_prices import (
    NewPlanPrice,
    card_body,
    check_card,
    check_card_change,
    with_price,
)

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["NewPlan", "PlanPatch", "add_plan_price", "create_plan", "update_plan"]

FIXED = ("kind", "amount", "currency", "period")
TERMS = Terms.__struct_fields__
CARD = RateCard.__struct_fields__
Days = Annotated[int, Meta(ge=0, le=3650)]
Limits = Annotated[list[Limit], Meta(max_length=100)]
Rates = Annotated[list[Rate], Meta(max_length=100)]
Prices = Annotated[list[CardPrice], Meta(max_length=100)]


class NewPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A plan to be made, with what it charges beside pay as you go and the limits of who subscribes to it.

    A ``fee`` of None is 0, of a prepaid value its amount.
    """

    name: Name
    kind: PlanKind = "pay_as_you_go"
    amount: Decimal | None = None
    currency: Currency | None = None
    trial_days: Days = 0
    period: PeriodUnit = "month"
    fee: Decimal | None = None
    minimum: Decimal = Decimal(0)
    prorated: bool = True
    prorate_by: ProrateBy = "second"
    prices: Prices = []
    limits: Limits = []
    rates: Rates = []
    on_failure: OnFailure = "admit"

    def __post_init__(self) -> None:
        for name in ("amount", "fee", "minimum"):
            value = getattr(self, name)
            if value is not None:
                check_amount(name, value)


class PlanPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of a plan; null takes a value away."""

    name: Name | UnsetType = UNSET
    kind: PlanKind | UnsetType = UNSET
    amount: Decimal | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET
    trial_days: Days | UnsetType = UNSET
    period: PeriodUnit | UnsetType = UNSET
    fee: Decimal | UnsetType | None = UNSET
    minimum: Decimal | UnsetType = UNSET
    prorated: bool | UnsetType = UNSET
    prorate_by: ProrateBy | UnsetType = UNSET
    prices: Prices | UnsetType = UNSET
    limits: Limits | UnsetType = UNSET
    rates: Rates | UnsetType = UNSET
    on_failure: OnFailure | UnsetType = UNSET


def create_plan(edit: Edit, new: NewPlan) -> Plan:
    """Make a plan; raises ConflictError or UnprocessableError."""
    values = asdict(new)
    body = _body({}, values)
    plan = check_plan(Plan(id=record_id("pln"), created_at=edit.now, body=body, **values))
    _check(edit, plan)
    edit.add(plan)
    return plan


def update_plan(edit: Edit, plan_id: str, patch: PlanPatch) -> Plan:
    """Change a plan; raises NotFoundError, ConflictError or UnprocessableError.

    What somebody pays by is not changed under them: of a plan in use only the name, the trial of those to come and the
    limits, which hold at once; and its prices get rows that are still to come.
    """
    old = find_record(edit.records, Plan, plan_id)
    values = {name: value for name, value in asdict(patch).items() if value is not UNSET}
    body = _body(old.body, values)
    new = check_plan(replace(old, body=body, **values))
    _check(edit, new)
    if _is_used(edit, old):
        changed = sorted(name for name in FIXED if getattr(old, name) != getattr(new, name))
        if changed:
            raise ConflictError(
                f"The plan {old.name!r} is in use, so its {', '.join(changed)} cannot be changed: make another plan,"
                " and move the subscriptions to it."
            )
        check_card_change(old.name, rate_card(old), rate_card(new), edit.now)
    edit.replace(old, new)
    return new


def add_plan_price(edit: Edit, plan_id: str, new: NewPlanPrice) -> Plan:
    """Add a dated row to a price of a plan, or a price; raises as ``update_plan``."""
    plan = find_record(edit.records, Plan, plan_id)
    prices = with_price(rate_card(plan), new, edit.now, in_use=_is_used(edit, plan))
    return update_plan(edit, plan_id, PlanPatch(prices=prices))


def _body(old: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The body of a plan after changes, which are taken out of the ``values``."""
    limits = {name: values.pop(name) for name in TERMS if name in values}
    card = {name: values.pop(name) for name in CARD if name in values}
    terms = check_terms(replace(Terms.said(old), **limits))
    if terms.on_failure == "admit":  # as where nothing is said
        terms = replace(terms, on_failure=None)
    said: dict[str, Any] = msgspec.to_builtins(terms)
    others = {name: value for name, value in old.items() if name not in {*TERMS, *CARD}}
    return others | said | card_body(old, card)


def _is_used(edit: Edit, plan: Plan) -> bool:
    return bool(edit.records.page(PlanChange, after=None, limit=1, plan=plan.id))


def _check(edit: Edit, plan: Plan) -> None:
    if plan.currency is not None:
        check_currency(plan.currency)
    check_card(edit.records, plan)
    if any(other.id != plan.id for other in edit.records.find(Plan, name=plan.name)):
        raise ConflictError(f"There is a plan {plan.name!r} already.")
