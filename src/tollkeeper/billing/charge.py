"""One line's worth of money: an exact amount, and what it is on the invoice, rounded once."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from tollkeeper.billing.models.flat_fee import FlatFee, flat_fee
from tollkeeper.billing.money import from_minor, round_money
from tollkeeper.billing.price_rows import PriceRow, row_at
from tollkeeper.billing.rating import RatedPart, rate
from tollkeeper.metering.quantity import Quantity

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Charge", "PricedUsage", "fee_charge", "reduction", "usage_charge"]

ChargeKind = Literal["base_fee", "fee", "usage", "discount", "prepaid", "maximum", "minimum", "one_off"]

WHOLE = Fraction(1)


class Charge(Struct, frozen=True, kw_only=True):
    """What one line says: ``quantity`` in millionths with its ``parts`` by price row, the sum exact and rounded.

    ``taxes`` names those that it bears, None for all of the invoice. What reduces another charge bears the same, and
    names its price.
    """

    kind: ChargeKind
    name: str
    exact: Fraction
    amount: Decimal
    price: str | None = None
    quantity: int | None = None
    parts: tuple[RatedPart, ...] = ()
    unpriced: int = 0
    taxes: tuple[str, ...] | None = None


class PricedUsage(Struct, frozen=True, kw_only=True):
    """What was used of one price in a period: by group, in order of time. ``price`` tells it apart, None by the name.

    ``pay_as_you_go`` marks the calls of routes, at their base prices: a plan's discount or prepayment is on these.
    """

    name: str
    rows: tuple[PriceRow, ...]
    groups: tuple[tuple[Quantity, ...], ...]
    pay_as_you_go: bool = False
    price: str | None = None
    maximum: Decimal | None = None
    taxes: tuple[str, ...] | None = None


def usage_charge(usage: PricedUsage, currency: str) -> Charge:
    """Rate each group, with tiers of its own, and add them up before rounding."""
    ratings = [rate(usage.rows, group) for group in usage.groups]
    exact = sum((rating.cost for rating in ratings), Fraction(0))
    return Charge(
        kind="usage",
        name=usage.name,
        exact=exact,
        amount=round_money(exact, currency),
        price=usage.price or usage.name,
        quantity=sum(rating.quantity for rating in ratings),
        parts=tuple(part for rating in ratings for part in rating.parts),
        unpriced=sum(rating.unpriced for rating in ratings),
        taxes=usage.taxes,
    )


def fee_charge(
    name: str,
    rows: tuple[PriceRow, ...],
    *,
    at: datetime,
    currency: str,
    share: Fraction = WHOLE,
    taxes: tuple[str, ...] | None = None,
) -> Charge | None:
    """Charge a share of the flat fee that is in force when the time to be charged begins; None when there is none."""
    row = row_at(rows, at)
    if row is None or not isinstance(row.price, FlatFee):
        return None
    exact = flat_fee(row.price, share)
    amount = round_money(exact, currency)
    return Charge(kind="fee", name=name, exact=exact, amount=amount, price=name, taxes=taxes)


def reduction(charge: Charge, kind: ChargeKind, name: str, minor: int, currency: str) -> Charge:
    """Take so many minor units off a charge, as a line of its own."""
    amount = from_minor(-minor, currency)
    return Charge(
        kind=kind,
        name=name,
        exact=Fraction(amount),
        amount=amount,
        price=charge.price or charge.name,
        taxes=charge.taxes,
    )
