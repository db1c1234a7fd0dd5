"""Quantities, unit prices and costs before discounts in the words of FOCUS."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tollkeeper.service.exports.tables import decimal_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.billing.charge import Charge
    from tollkeeper.billing.statement import ChargedPart, Statement

__all__ = ["price_columns"]

PERIODS = {"day": "Days", "week": "7 Days", "month": "Months", "year": "Years"}
MICRO = 1_000_000
PRICE_PLACES = 12
"""The decimals of unit prices, so that one times a quantity in millionths has no more than a cost may have."""


def price_columns(
    row: Mapping[str, Any], charge: Charge, part: ChargedPart | None, statement: Statement, *, is_call: bool
) -> dict[str, Any]:
    """The pricing of a line. The unit price is the average where tiers or changes of price make several.

    A credit, and a correction of what was invoiced, has no unit price: its costs are what is billed.
    """
    category, corrects = row["ChargeCategory"], row["ChargeClass"] is not None
    billed = {"ContractedCost": row["BilledCost"], "ListCost": row["BilledCost"]}
    if category == "Credit":
        return billed
    quantity = Fraction(charge.quantity or 0, MICRO) if category == "Usage" else Fraction(-1 if charge.exact < 0 else 1)
    columns: dict[str, Any] = {
        "PricingCategory": "Standard",
        "PricingQuantity": decimal_of(quantity),
        "PricingUnit": _unit(row, part, is_call=is_call),
        **_sku(charge, part, is_call=is_call),
    }
    if corrects:
        return columns | billed
    if category == "Usage":
        columns |= {"ConsumedQuantity": columns["PricingQuantity"], "ConsumedUnit": columns["PricingUnit"]}
    price = round(_net(charge, statement) / quantity, PRICE_PLACES) if quantity else Fraction(0)
    return columns | {
        "ContractedUnitPrice": decimal_of(price),
        "ListUnitPrice": decimal_of(price),
        "ContractedCost": decimal_of(price * quantity),
        "ListCost": decimal_of(price * quantity),
    }


def _net(charge: Charge, statement: Statement) -> Fraction:
    """What a charge is before coupons, exact and without taxes."""
    if not statement.terms.tax_inclusive:
        return charge.exact
    rates = (rate for rate in statement.terms.taxes if charge.taxes is None or rate.name in charge.taxes)
    return charge.exact / (1 + sum((Fraction(rate.percent) for rate in rates), Fraction(0)) / 100)


def _unit(row: Mapping[str, Any], part: ChargedPart | None, *, is_call: bool) -> str:
    if row["ChargeCategory"] == "Usage":
        return "Requests" if is_call else "Units"
    return "Units" if part is None else PERIODS[part.plan.period]


def _sku(charge: Charge, part: ChargedPart | None, *, is_call: bool) -> dict[str, str]:
    """What is sold: the route, else the price of the plan, else the plan's fee."""
    price = charge.price or charge.kind
    used = next((one for one in part.prices if price in {one.price, one.name}), None) if part else None
    name = used.price if used else price
    sku = name if is_call or part is None else f"{part.plan.id}/{name}"
    meter = "API Requests" if is_call else used.meter.name if used and used.meter else charge.name
    return {"SkuId": sku, "SkuPriceId": sku, "SkuMeter": meter}
