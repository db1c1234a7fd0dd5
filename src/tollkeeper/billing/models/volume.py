"""Volume: all units of the period cost what the tier says that the last of them falls into."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.models.tiers import Tier, check_edges
from tollkeeper.billing.models.used import MICRO

if TYPE_CHECKING:
    from tollkeeper.billing.models.used import Used

__all__ = ["Volume", "volume"]


class Volume(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="model", tag="volume"):
    """Tiers of which one counts, for everything."""

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        check_edges([tier.up_to for tier in self.tiers])


def volume(price: Volume, used: Used) -> Fraction:
    """Take the tier of the period's total; its flat fee comes once, at the price of the last unit."""
    if not used.units:
        return Fraction(0)
    units = Fraction(used.total, MICRO)
    tier = next(tier for tier in price.tiers if tier.up_to is None or units <= Fraction(tier.up_to))
    return used.units * Fraction(tier.unit_price) + (Fraction(tier.flat_fee) if used.last else 0)
