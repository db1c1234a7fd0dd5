"""The price rows that hold for one customer: those of a route, and their own in the place of the list's."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.price_rows import PriceRow, check_rows, row_at
from tollkeeper.events.timestamps import END

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.billing.product import RoutePrice

__all__ = ["is_free", "overridden", "route_rows"]


def route_rows(prices: Iterable[RoutePrice]) -> tuple[PriceRow, ...]:
    """The prices of a route as rows: each a call, until the next begins."""
    ordered = sorted(prices, key=lambda price: price.valid_from)
    ends = [after.valid_from for _, after in pairwise(ordered)] + [END]
    return tuple(
        PriceRow(price=PerUnit(unit_price=Decimal(price.price)), valid_from=price.valid_from, valid_to=end)
        for price, end in zip(ordered, ends, strict=False)
    )


def is_free(row: PriceRow) -> bool:
    """Whether a row asks for no money, and so needs no currency."""
    return isinstance(row.price, PerUnit) and not row.price.unit_price


def overridden(rows: Iterable[PriceRow], own: Iterable[PriceRow]) -> tuple[PriceRow, ...]:
    """The rows with a customer's ``own`` in their place while these are in force; raises what ``check_rows`` raises."""
    listed, own = check_rows(rows), check_rows(own)
    moments = sorted({moment for row in (*listed, *own) for moment in (row.valid_from, row.valid_to)})
    pieces = [
        replace(row, valid_from=begin, valid_to=end)
        for begin, end in pairwise(moments)
        if row_at(own, begin) is None and (row := row_at(listed, begin))
    ]
    return check_rows([*own, *pieces])
