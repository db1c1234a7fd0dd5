"""Graduated percentage: a share of the period's amount, by tiers that fill one after another."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.models.percentage import HUNDRED, check_rate
from tollkeeper.billing.models.tiers import check_edges, tier_cost
from tollkeeper.billing.models.used import between
from tollkeeper.billing.price import check_amount

if TYPE_CHECKING:
    from tollkeeper.billing.models.used import Used

__all__ = ["GraduatedPercentage", "RateTier", "graduated_percentage"]


class RateTier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """``rate`` per cent of the amount after the tier before, up to and with ``up_to``; ``flat_fee`` once entered."""

    up_to: Decimal | None = None
    rate: Decimal
    flat_fee: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        check_rate(self.rate)
        check_amount("flat_fee", self.flat_fee)


class GraduatedPercentage(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="model", tag="graduated_percentage"
):
    """Tiers of the period's amount, each with its rate."""

    tiers: tuple[RateTier, ...]

    def __post_init__(self) -> None:
        check_edges([tier.up_to for tier in self.tiers])


def graduated_percentage(price: GraduatedPercentage, used: Used) -> Fraction:
    """Fill the tiers on from where the period stands, as graduated does with units."""
    tiers = [(tier.up_to, Fraction(tier.rate) / HUNDRED, Fraction(tier.flat_fee)) for tier in price.tiers]
    return between(lambda amount: tier_cost(tiers, amount), used)
