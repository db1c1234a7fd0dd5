"""Coupons: per cent or an amount off the lines of an invoice, before taxes, one after another."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.money import check_payable, from_minor, round_money, to_minor
from tollkeeper.billing.price import check_amount
from tollkeeper.billing.spread import spread
from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Coupon", "CouponUse", "use_coupons"]

HUNDRED = 100


class Coupon(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """``percent`` off, or an ``amount`` in ``currency``, of which what isn't used is left for the next invoice."""

    id: str
    name: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.amount is None):
            raise UnprocessableError(f"The coupon {self.name!r} needs percent or amount: give one of them.")
        if self.percent is not None and check_amount("percent", self.percent) > HUNDRED:
            raise UnprocessableError(f"The coupon {self.name!r} takes {self.percent} per cent off: give up to 100.")
        if (self.amount is None) != (self.currency is None):
            hint = "give its currency" if self.currency is None else "leave currency out"
            raise UnprocessableError(
                f"The coupon {self.name!r} has {'an amount' if self.amount else 'no amount'}: {hint}."
            )
        if self.amount is not None and self.currency is not None:
            check_payable("amount", check_amount("amount", self.amount), self.currency)


class CouponUse(Struct, frozen=True, kw_only=True):
    """What a coupon took off, line by line in their order, and what is ``left`` of its amount (None: per cent)."""

    coupon: str
    amount: Decimal
    shares: tuple[Decimal, ...]
    left: Decimal | None


def use_coupons(coupons: Sequence[Coupon], amounts: Sequence[Decimal], currency: str) -> tuple[CouponUse, ...]:
    """Take coupons off lines, in the order they were granted, each of what those before it left.

    All lines together never fall below zero, and lines below zero get nothing. A coupon in another currency is kept.
    """
    remaining = [to_minor(amount, currency) for amount in amounts]
    uses = []
    for coupon in coupons:
        available = max(sum(remaining), 0)
        wanted = _wanted(coupon, available, currency)
        used = min(wanted, available)
        shares = spread(used, [max(one, 0) for one in remaining])
        remaining = [one - share for one, share in zip(remaining, shares, strict=True)]
        uses.append(
            CouponUse(
                coupon=coupon.id,
                amount=from_minor(used, currency),
                shares=tuple(from_minor(share, currency) for share in shares),
                left=_left(coupon, wanted - used, currency),
            )
        )
    return tuple(uses)


def _wanted(coupon: Coupon, available: int, currency: str) -> int:
    if coupon.percent is not None:
        exact = Fraction(from_minor(available, currency)) * Fraction(coupon.percent) / HUNDRED
        return to_minor(round_money(exact, currency), currency)
    return to_minor(coupon.amount or Decimal(0), currency) if coupon.currency == currency else 0


def _left(coupon: Coupon, unused: int, currency: str) -> Decimal | None:
    if coupon.amount is None or coupon.currency != currency:
        return coupon.amount
    return from_minor(unused, currency)
