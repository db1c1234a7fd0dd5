"""What a meter makes of the calls of a part, by group: sums by price row, or each amount if asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.charge import PricedUsage
from tollkeeper.billing.price_rows import row_at
from tollkeeper.metering.quantity import Quantity
from tollkeeper.metering.running import Group, RunningMeter

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.billing.price_rows import PriceRow
    from tollkeeper.billing.statement import UsedPrice
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.metering.meter import Meter

__all__ = ["MeteredPrice"]


class MeteredPrice:
    """A price of a meter and what was used of it; events come in order of time."""

    def __init__(self, price: UsedPrice, meter: Meter) -> None:
        self.price = price
        self._meter = RunningMeter(meter)
        self._by_event = price.by_event
        self._found: dict[Group, list[_Sum]] = {}
        self._last: dict[Group, _Sum] = {}
        self._row: PriceRow | None = None

    @property
    def unread(self) -> int:
        """How many events held nothing that the meter can add."""
        return self._meter.unread

    def take(self, event: UsageEvent) -> None:
        """Read an event."""
        added = self._meter.take(event)
        if added is None:
            return
        group, amount = added
        row, at = self._row, event.time
        if row is None or not row.valid_from <= at < row.valid_to:
            row = self._row = row_at(self.price.rows, at)
        last = self._last.get(group)
        if last is not None and last.row is row and not self._by_event:
            last.amount += amount
            return
        self._last[group] = _Sum(at, row, amount)
        self._found.setdefault(group, []).append(self._last[group])

    def usage(self) -> PricedUsage:
        """What was used, by group."""
        groups = {group: tuple(Quantity(one.at, one.amount) for one in sums) for group, sums in self._found.items()}
        groups |= {group: (one,) for group, one in self._meter.ending().items()}
        price = self.price
        return PricedUsage(
            name=price.name,
            rows=price.rows,
            groups=tuple(groups.values()),
            price=price.price,
            maximum=price.maximum,
            taxes=price.taxes,
        )


class _Sum:
    """What was added while one row was in force, the first time at ``at``."""

    __slots__ = ("amount", "at", "row")

    def __init__(self, at: datetime, row: PriceRow | None, amount: int) -> None:
        self.at, self.row, self.amount = at, row, amount
