"""Rating: what quantities over a period cost by the dated rows of a price, exact, and how it comes about."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.models.graduated import Graduated, graduated
from tollkeeper.billing.models.graduated_percentage import GraduatedPercentage, graduated_percentage
from tollkeeper.billing.models.included import Included, included
from tollkeeper.billing.models.package import Package, package
from tollkeeper.billing.models.per_unit import PerUnit, per_unit
from tollkeeper.billing.models.percentage import Percentage, percentage
from tollkeeper.billing.models.used import Used
from tollkeeper.billing.models.volume import Volume, volume
from tollkeeper.billing.price_rows import PriceRow, row_at
from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tollkeeper.metering.quantity import Quantity

__all__ = ["RatedPart", "Rating", "rate"]

MODELS: dict[type[Struct], Callable[[Any, Used], Fraction]] = {
    PerUnit: per_unit,
    Graduated: graduated,
    Volume: volume,
    Package: package,
    Percentage: percentage,
    GraduatedPercentage: graduated_percentage,
    Included: included,
}


class RatedPart(Struct, frozen=True):
    """What was used while one row was in force, in millionths, and what that costs, exact."""

    row: PriceRow
    quantity: int
    cost: Fraction


class Rating(Struct, frozen=True):
    """The parts in order of time; ``unpriced`` are the millionths that were used while no row was in force."""

    parts: tuple[RatedPart, ...]
    unpriced: int

    @property
    def cost(self) -> Fraction:
        """What all of it costs, exact."""
        return sum((part.cost for part in self.parts), Fraction(0))

    @property
    def quantity(self) -> int:
        """What was used and has a price, in millionths."""
        return sum(part.quantity for part in self.parts)


def rate(rows: Sequence[PriceRow], used: Sequence[Quantity]) -> Rating:
    """Rate one period's quantities, each at the row in force at its time; tiers run through the whole period.

    A percentage needs each event's amount by itself; the others may be given sums, of times with one row in force.
    What has no price takes no room in the tiers. Raises UnprocessableError for a quantity below zero, and for a fee.
    """
    if any(one.amount < 0 for one in used):
        raise UnprocessableError("A quantity is below zero: give what was used, and credit what was not.")
    ordered = sorted(used, key=lambda one: one.at)
    priced = [(row, one.amount) for one in ordered if (row := row_at(rows, one.at))]
    total = sum(amount for _, amount in priced)
    runs = [(row, tuple(amount for _, amount in run)) for row, run in groupby(priced, lambda pair: pair[0])]
    parts: list[RatedPart] = []
    before = events = 0
    for row, amounts in runs:
        amount = sum(amounts)
        last = before + amount == total
        stretch = Used(amounts=amounts, before=before, events_before=events, total=total, last=last)
        parts.append(RatedPart(row, amount, _cost(row, stretch)))
        before, events = before + amount, events + len(amounts)
    return Rating(tuple(parts), sum(one.amount for one in used) - total)


def _cost(row: PriceRow, used: Used) -> Fraction:
    model = MODELS.get(type(row.price))
    if model is None:
        raise UnprocessableError("A flat_fee is no price of what is used: charge it as a fee.")
    return model(row.price, used)
