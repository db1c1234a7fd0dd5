"""The calls of one route in a part: sums by price row, and each call by itself only where its price asks for that."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.charge import PricedUsage
from tollkeeper.billing.price_rows import row_at
from tollkeeper.metering.quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from tollkeeper.billing.price_rows import PriceRow
    from tollkeeper.billing.statement import UsedPrice
    from tollkeeper.events.event import UsageEvent

__all__ = ["Bucket", "RouteUsage"]


class Bucket:
    """The calls at one price row, or (None) at no price; ``currency`` is that in which they cost something.

    ``rank`` is that of their route among those of the part.
    """

    __slots__ = ("_each", "calls", "currency", "first", "rank", "row", "units")

    def __init__(self, row: PriceRow | None, currency: str | None, rank: tuple[str, str], *, by_event: bool) -> None:
        self.row, self.currency, self.rank = row, currency, rank
        self.calls = self.units = 0
        self.first: datetime | None = None
        self._each: list[Quantity] | None = [] if by_event else None

    def take(self, event: UsageEvent) -> None:
        """Count a call."""
        self.calls += 1
        self.units += event.units_micro
        if self._each is not None:
            self._each.append(Quantity(event.time, event.units_micro))

    def add(self, at: datetime, units: int) -> None:
        """Add what is left to be charged of a call, in millionths."""
        self.units += units
        if self._each is not None:
            self._each.append(Quantity(at, units))

    def quantities(self) -> list[Quantity]:
        """What is to be rated."""
        if self._each is not None:
            return self._each
        return [Quantity(self.first, self.units)] if self.first is not None and self.units else []


class RouteUsage:
    """The calls of a route at its price; ``currencies`` are those of the rows that cost something in one alone."""

    def __init__(self, price: UsedPrice, currencies: Mapping[PriceRow, str]) -> None:
        self.price, self._currencies = price, currencies
        self._edges = sorted({moment for row in price.rows for moment in (row.valid_from, row.valid_to)})
        self._buckets: dict[PriceRow | None, Bucket] = {}

    def stretches(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, Bucket]]:
        """Cut a time where another row comes into force."""
        for begin, until in pairwise([start, *(edge for edge in self._edges if start < edge < end), end]):
            row = row_at(self.price.rows, begin)
            if row not in self._buckets:
                currency = self._currencies.get(row) if row else None
                rank = (self.price.name, self.price.price)
                self._buckets[row] = Bucket(row, currency, rank, by_event=self.price.by_event)
            yield begin, until, self._buckets[row]

    def priced(self, currency: str | None) -> UsedPrice | None:
        """The price as it was used, in a currency; None when no call was at a price of it."""
        rows = tuple(row for row in self.price.rows if self._currencies.get(row, currency) == currency)
        if not any(bucket.calls and bucket.row in rows for bucket in self._buckets.values()):
            return None
        return replace(self.price, rows=rows)

    def usage(self, price: UsedPrice) -> PricedUsage:
        """What was used, by a price that ``priced`` gave."""
        found = sorted(
            (one for bucket in self._buckets.values() for one in bucket.quantities()), key=lambda one: one.at
        )
        return PricedUsage(
            name=price.name, rows=price.rows, groups=(tuple(found),), pay_as_you_go=True, price=price.price
        )

    def foreign(self, currency: str | None) -> dict[str, int]:
        """How many calls cost something in other currencies, by these."""
        found: dict[str, int] = {}
        for bucket in self._buckets.values():
            if bucket.calls and bucket.currency is not None and bucket.currency != currency:
                found[bucket.currency] = found.get(bucket.currency, 0) + bucket.calls
        return found
