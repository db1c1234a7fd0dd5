"""What a part is charged for what was used in it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.charge import Charge, PricedUsage, fee_charge
from tollkeeper.billing.period_charges import charge_period
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.billing.rebill import difference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from tollkeeper.billing.statement import ChargedPart

__all__ = ["charge_part", "says_nothing"]


def charge_part(part: ChargedPart, usage: Sequence[PricedUsage]) -> tuple[list[Charge], Decimal]:
    """The charges of a part in the order of the invoice, and what is left of the plan's amount off.

    What a prepaid volume covers is not in the ``usage`` any more. What was charged before comes off. The part has a
    currency; charges that say nothing are left out.
    """
    currency, plan = part.currency or "", part.plan
    card = rate_card(plan)
    fees = [
        fee_charge(
            price.name,
            price.rows,
            at=part.start,
            currency=currency,
            share=part.share if card.prorated else Fraction(1),
            taxes=price.taxes,
        )
        for price in part.prices
        if price.is_fee
    ]
    found = charge_period(
        replace(plan, kind="pay_as_you_go", amount=None) if plan.kind == "prepaid_volume" else plan,
        card,
        usage,
        currency=currency,
        share=part.share,
        fees=[fee for fee in fees if fee is not None],
        carried=part.carried,
    )
    charges = difference(found.charges, part.before, currency) if part.before else found.charges
    return [charge for charge in charges if not says_nothing(charge)], found.discount_left


def says_nothing(charge: Charge) -> bool:
    """Whether a charge is of no money and of no quantity, so that its line is left out."""
    return not charge.amount and not charge.quantity
