"""Per unit: each unit costs the same."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.price import check_amount

if TYPE_CHECKING:
    from tollkeeper.billing.models.used import Used

__all__ = ["PerUnit", "per_unit"]


class PerUnit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="model", tag="per_unit"):
    """So much a unit."""

    unit_price: Decimal

    def __post_init__(self) -> None:
        check_amount("unit_price", self.unit_price)


def per_unit(price: PerUnit, used: Used) -> Fraction:
    """Multiply."""
    return used.units * Fraction(price.unit_price)
