"""Money: exact until it is written on a line, and there rounded once, half away from zero.

Exact amounts are ``Fraction``s: a third of a month's fee has no last decimal, and the precision of ``Decimal``
depends on a context that the host app may have changed. What is rounded is a ``Decimal`` with the decimals of its
currency.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from tollkeeper.billing.currencies import MINOR_DIGITS, check_currency
from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_payable", "from_minor", "round_money", "to_minor", "total"]

MAX_EXPONENT = 100
"""Beyond it, a number of a few characters takes minutes to be written out as a Fraction."""


def round_money(exact: Fraction | Decimal, currency: str) -> Decimal:
    """Round to the currency's minor unit, half away from zero; raises UnprocessableError for no currency."""
    return from_minor(_rounded(_scaled(exact, _digits(currency))), currency)


def to_minor(amount: Decimal, currency: str) -> int:
    """An amount in minor units, 1999 for 19.99 EUR; raises UnprocessableError for what the currency can't show."""
    return int(_scaled(check_payable("The amount", amount, currency), _digits(currency)))


def from_minor(units: int, currency: str) -> Decimal:
    """The amount of so many minor units, with the decimals of the currency."""
    return Decimal(f"{units}E-{_digits(currency)}")  # from a text it is exact, whatever the context


def total(amounts: Iterable[Decimal], currency: str, *, less: Iterable[Decimal] = ()) -> Decimal:
    """The sum of amounts that are rounded already, less others; exact at any size, as Decimal's own + and - are not."""
    digits = _digits(currency)
    units = sum(_scaled(one, digits) for one in amounts) - sum(_scaled(one, digits) for one in less)
    return from_minor(_rounded(units), currency)


def check_payable(name: str, amount: Decimal, currency: str) -> Decimal:
    """Refuse an amount that can't be paid in the currency, as 0.001 EUR; raises UnprocessableError."""
    digits, exponent = _digits(currency), amount.as_tuple().exponent
    is_plain = isinstance(exponent, int) and abs(exponent) <= MAX_EXPONENT
    if not is_plain or _scaled(amount, digits).denominator != 1:
        raise UnprocessableError(f"{name} is {amount!s:.40} {currency}: give one with up to {digits} decimals.")
    return amount


def _digits(currency: str) -> int:
    return MINOR_DIGITS[check_currency(currency)]


def _scaled(exact: Fraction | Decimal, digits: int) -> int | Fraction:
    """An amount in minor units, exact; a whole number is an int, with which sums are much faster."""
    numerator, denominator = exact.as_integer_ratio()
    units, rest = divmod(numerator * 10**digits, denominator)
    return Fraction(numerator * 10**digits, denominator) if rest else units


def _rounded(units: int | Fraction) -> int:
    """The nearest whole number, half away from zero."""
    numerator, denominator = units.as_integer_ratio()
    whole = (2 * abs(numerator) + denominator) // (2 * denominator)
    return whole if numerator >= 0 else -whole
