"""Tiers of quantity: how far each goes, and what a unit in it costs."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.price import check_amount
from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Tier", "check_edges", "tier_cost"]

MAX_TIERS = 1_000


class Tier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units after the tier before, up to and with ``up_to`` (None: all that follow).

    ``flat_fee`` is due whole once a unit, or a part of one, has entered the tier.
    """

    up_to: Decimal | None = None
    unit_price: Decimal = Decimal(0)
    flat_fee: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        check_amount("unit_price", self.unit_price)
        check_amount("flat_fee", self.flat_fee)


def check_edges(edges: Sequence[Decimal | None]) -> None:
    """Refuse tiers that don't cover each unit exactly once; raises UnprocessableError."""
    if not edges or edges[-1] is not None:
        raise UnprocessableError("The last tier must have no up_to, so that each unit has a price: leave it out there.")
    if len(edges) > MAX_TIERS:
        raise UnprocessableError(f"The price has {len(edges)} tiers: give up to {MAX_TIERS:,}.")
    before = Decimal(0)
    for number, edge in enumerate(edges[:-1], 1):
        if edge is None:
            raise UnprocessableError(f"Tier {number} has no up_to, but others follow it: give one.")
        if check_amount("up_to", edge) <= before:
            raise UnprocessableError(f"Tier {number} is up to {edge}: give more than {before}, where it begins.")
        before = edge


def tier_cost(tiers: Sequence[tuple[Decimal | None, Fraction, Fraction]], units: Fraction) -> Fraction:
    """What units cost that fill tiers one after another; a tier is ``(up_to, price of a unit, flat fee)``."""
    cost = begin = Fraction(0)
    for up_to, unit_price, flat_fee in tiers:
        if units <= begin:
            break
        end = units if up_to is None else min(units, Fraction(up_to))
        cost += flat_fee + (end - begin) * unit_price
        begin = end
    return cost
