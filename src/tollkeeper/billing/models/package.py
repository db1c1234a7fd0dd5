"""Package: units are sold by the dozen, and one that is begun is sold whole."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.models.used import between
from tollkeeper.billing.price import check_amount
from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from tollkeeper.billing.models.used import Used

__all__ = ["Package", "package"]


class Package(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="model", tag="package"):
    """Packages of ``size`` units at ``package_price`` each, after ``free_units``."""

    size: Decimal
    package_price: Decimal
    free_units: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        check_amount("package_price", self.package_price)
        check_amount("free_units", self.free_units)
        if not check_amount("size", self.size):
            raise UnprocessableError("The size of the package is 0: give how many units are in one.")


def package(price: Package, used: Used) -> Fraction:
    """Take the free units off, then count the packages that are begun; one begun at another price is paid for."""
    free, size = Fraction(price.free_units), Fraction(price.size)
    return between(lambda units: ceil(max(units - free, Fraction(0)) / size) * Fraction(price.package_price), used)
