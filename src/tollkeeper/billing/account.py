"""What the charges of one customer rest on."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.resolve import Facts
from tollkeeper.metering.meter import Meter

__all__ = ["CustomerAccount"]


class CustomerAccount(Struct, frozen=True, kw_only=True):
    """One snapshot of the catalogue: in ``facts`` the products whole, and of the customers this one alone.

    ``meters`` are by name; ``own_prices`` by subscription, then by the id of a route or the name of a plan's price.
    """

    facts: Facts
    meters: Mapping[str, Meter] = field(default_factory=dict)
    own_prices: Mapping[str, Mapping[str, tuple[PriceRow, ...]]] = field(default_factory=dict)
