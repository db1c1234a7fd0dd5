"""Prices are dated: which one is in force at a time, and whether another fits in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.errors import ConflictError, UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from decimal import Decimal

    from tollkeeper.billing.product import RoutePrice

__all__ = ["check_amount", "check_new_price", "price_at"]

MAX_DIGITS = 18
MAX_DECIMALS = 12


def price_at(prices: Iterable[RoutePrice], at: datetime) -> RoutePrice | None:
    """The price of a route that is in force at a time: the last that began; None before the first."""
    begun = [price for price in prices if price.valid_from <= at]
    return max(begun, key=lambda price: price.valid_from) if begun else None


def check_new_price(prices: Iterable[RoutePrice], new: RoutePrice) -> None:
    """Refuse a price that begins when another does (ConflictError), or is in another currency (UnprocessableError).

    The next price ends the one before, so that two are never in force at once. What is free is so in every currency.
    """
    for price in prices:
        if price.valid_from == new.valid_from:
            raise ConflictError(
                f"There is a price from {price.valid_from.isoformat()} on already ({price.price} {price.currency}), and"
                " prices are never edited: give another time."
            )
        if price.price and new.price and price.currency != new.currency:
            raise UnprocessableError(
                f"The route is priced in {price.currency}: give this price in {price.currency}, too."
            )


def check_amount(name: str, amount: Decimal) -> Decimal:
    """Refuse what is no exact amount of money of up to 18 digits and 12 decimals; raises UnprocessableError."""
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or amount < 0:
        raise UnprocessableError(f"{name} is {amount!s:.40}: give a decimal of 0 or more, e.g. 0.01.")
    if exponent < -MAX_DECIMALS or amount.adjusted() >= MAX_DIGITS:
        raise UnprocessableError(
            f"{name} is {amount!s:.40}: give up to {MAX_DIGITS} digits and {MAX_DECIMALS} decimals."
        )
    return amount
