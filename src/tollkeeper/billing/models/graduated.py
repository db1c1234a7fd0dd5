"""Graduated: each unit costs what the tier says that it falls into."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.models.tiers import Tier, check_edges, tier_cost
from tollkeeper.billing.models.used import between

if TYPE_CHECKING:
    from tollkeeper.billing.models.used import Used

__all__ = ["Graduated", "graduated"]


class Graduated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="model", tag="graduated"):
    """Tiers that fill one after another."""

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        check_edges([tier.up_to for tier in self.tiers])


def graduated(price: Graduated, used: Used) -> Fraction:
    """Fill the tiers on from where the period stands; a tier entered before, at another price, has had its flat fee."""
    tiers = [(tier.up_to, Fraction(tier.unit_price), Fraction(tier.flat_fee)) for tier in price.tiers]
    return between(lambda units: tier_cost(tiers, units), used)
