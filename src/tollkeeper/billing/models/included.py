"""Included: a volume that costs nothing more, then so much a unit over it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.models.used import between
from tollkeeper.billing.price import check_amount

if TYPE_CHECKING:
    from tollkeeper.billing.models.used import Used

__all__ = ["Included", "included"]


class Included(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="model", tag="included"):
    """The first ``included_units`` of a period are in the fee of the plan; each over them costs ``unit_price``."""

    included_units: Decimal
    unit_price: Decimal

    def __post_init__(self) -> None:
        check_amount("included_units", self.included_units)
        check_amount("unit_price", self.unit_price)


def included(price: Included, used: Used) -> Fraction:
    """Charge the overage."""
    free = Fraction(price.included_units)
    return between(lambda units: max(units - free, Fraction(0)) * Fraction(price.unit_price), used)
