"""Flat fee: the period costs so much, however much is used."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from tollkeeper.billing.price import check_amount

__all__ = ["FlatFee", "flat_fee"]


class FlatFee(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="model", tag="flat_fee"):
    """The fee of a whole period; ``prorated`` false charges all of it for a part of one, too."""

    fee: Decimal
    prorated: bool = True

    def __post_init__(self) -> None:
        check_amount("fee", self.fee)


def flat_fee(price: FlatFee, share: Fraction) -> Fraction:
    """Charge the share of the period, from 0 to 1, in which the subscription ran."""
    return Fraction(price.fee) * (share if price.prorated else 1)
