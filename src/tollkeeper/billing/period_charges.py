"""All that a subscription owes for a period, or a part of one, under one plan: fee, usage, discounts, minimum."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from tollkeeper.billing.charge import Charge, PricedUsage, usage_charge
from tollkeeper.billing.money import round_money, total
from tollkeeper.billing.plan_discount import after_prepaid_volume, amount_off, maximum_off, percent_off

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.plan import Plan
    from tollkeeper.billing.rate_card import RateCard

__all__ = ["PeriodCharges", "charge_period"]

MICRO = 1_000_000
NOTHING = Decimal(0)


class PeriodCharges(Struct, frozen=True):
    """The charges in the order of the invoice, and what was not used of the plan's amount off, which carries over."""

    charges: tuple[Charge, ...]
    discount_left: Decimal


def charge_period(
    plan: Plan,
    card: RateCard,
    usage: Sequence[PricedUsage],
    *,
    currency: str,
    share: Fraction = Fraction(1),
    fees: Sequence[Charge] = (),
    carried: Decimal = NOTHING,
) -> PeriodCharges:
    """Charge a share of a period: base fee, other ``fees``, usage with what the plan takes off, and the true-up.

    A share of a period has that share of the fee, of the minimum, and of what the plan gives: the prepaid volume or
    value, or the amount off, to which comes ``carried`` from the period before.
    """
    part = share if card.prorated else Fraction(1)
    given = Fraction(plan.amount or 0) * part
    if plan.kind == "prepaid_volume":
        usage = after_prepaid_volume(usage, int(given * MICRO + Fraction(1, 2)))
    lines: list[Charge] = [_charge("base_fee", Fraction(card.fee) * part, currency), *fees] if card.fee else [*fees]
    open_charges: list[tuple[Charge, Decimal]] = []
    for used in usage:
        found = _with_discounts(plan, used, usage_charge(used, currency), currency)
        lines += found
        if used.pay_as_you_go:
            open_charges.append((found[0], total((one.amount for one in found), currency)))
    left = NOTHING
    if plan.kind == "discount_amount":
        off, left = amount_off(open_charges, given + Fraction(carried), "discount", currency)
        lines += off
    elif plan.kind == "prepaid_value":
        lines += amount_off(open_charges, given, "prepaid", currency)[0]
    return PeriodCharges((*lines, *_true_up(lines, Fraction(card.minimum) * part, currency)), left)


def _true_up(charges: Sequence[Charge], minimum: Fraction, currency: str) -> list[Charge]:
    """Charge what is missing to the minimum, compared exact and rounded once; nothing when it is reached."""
    missing = minimum - sum((charge.exact for charge in charges), Fraction(0))
    return [_charge("minimum", missing, currency)] if missing > 0 else []


def _with_discounts(plan: Plan, used: PricedUsage, charge: Charge, currency: str) -> list[Charge]:
    """A charge and what comes off it alone: the plan's per cent first, then what is over the maximum of the price."""
    lines = [charge]
    if plan.kind == "discount_percent" and used.pay_as_you_go:
        lines += percent_off(charge, plan.amount or NOTHING, currency)
    if used.maximum is not None:
        remaining = total((one.amount for one in lines), currency)
        lines += maximum_off(charge, remaining, used.maximum, currency)
    return lines


def _charge(kind: Literal["base_fee", "minimum"], exact: Fraction, currency: str) -> Charge:
    return Charge(kind=kind, name=kind, exact=exact, amount=round_money(exact, currency))
