"""What a plan charges beside pay as you go: a base fee, a minimum, and prices of meters. It stands in a plan's body."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tollkeeper.billing.limit import Terms
from tollkeeper.billing.money import check_payable
from tollkeeper.billing.price import check_amount
from tollkeeper.billing.price_rows import PriceRow, check_rows
from tollkeeper.billing.proration import ProrateBy
from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from tollkeeper.billing.plan import Plan

__all__ = ["CardPrice", "RateCard", "rate_card"]


class CardPrice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the meter of that name costs by dated rows, no more than ``maximum`` a period; a flat fee has no meter."""

    name: str
    meter: str | None = None
    rows: tuple[PriceRow, ...]
    maximum: Decimal | None = None
    taxes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        is_fee = any(row.price.__struct_config__.tag == "flat_fee" for row in check_rows(self.rows))
        if is_fee != (self.meter is None):
            hint = "leave meter out" if is_fee else "give the meter that counts what is used"
            raise UnprocessableError(f"The price {self.name!r} is {'a flat fee' if is_fee else 'of usage'}: {hint}.")
        if is_fee and self.maximum is not None:
            raise UnprocessableError(f"The price {self.name!r} is a flat fee: leave maximum out.")
        if self.maximum is not None:
            check_amount("maximum", self.maximum)


class RateCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Amounts of a whole period. ``fee`` is the base fee, of a prepaid plan what is paid up front.

    ``prorated`` false has a part of a period cost as much as all of it.
    """

    fee: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    prorated: bool = True
    prorate_by: ProrateBy = "second"
    prices: tuple[CardPrice, ...] = ()

    def __post_init__(self) -> None:
        check_amount("fee", self.fee)
        check_amount("minimum", self.minimum)
        names = [price.name for price in self.prices]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UnprocessableError(f"The plan has two prices {twice[0]!r}: give each a name of its own.")


def rate_card(plan: Plan) -> RateCard:
    """Read the body of a plan, without its limits; raises UnprocessableError, ConflictError for rows that overlap.

    The fee of a prepaid value is that value, unless the body gives another, as where 120 are sold for 100.
    """
    body = {name: value for name, value in plan.body.items() if name not in Terms.__struct_fields__}
    try:
        card = msgspec.convert(body, RateCard)
    except msgspec.ValidationError as error:
        raise UnprocessableError(
            f"The body of the plan {plan.name!r} can't be read: {error}. It may have a fee, a minimum, prorated,"
            " prorate_by, and prices with a name, a meter, rows and a maximum."
        ) from error
    if plan.kind == "prepaid_value" and "fee" not in plan.body:
        card = msgspec.structs.replace(card, fee=plan.amount)
    if plan.currency is None:
        if card.fee or card.minimum or card.prices:
            raise UnprocessableError(f"The plan {plan.name!r} has amounts of money: give its currency.")
        return card
    for price in card.prices:
        if price.maximum is not None:
            check_payable(f"The maximum of {price.name!r}", price.maximum, plan.currency)
    return card
