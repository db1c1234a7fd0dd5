"""What a price model is given: a stretch of a period's usage, all of it at one price."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Used", "between"]

MICRO = 1_000_000


class Used(Struct, frozen=True, kw_only=True):
    """What was used while one price was in force, in millionths and in order of time.

    ``before`` is what the period had used until then, by ``events_before`` events; ``total`` what it uses in all, and
    ``last`` says that nothing was used after it.
    """

    amounts: tuple[int, ...]
    before: int
    events_before: int
    total: int
    last: bool

    @property
    def start(self) -> Fraction:
        """How many units of the period came before."""
        return Fraction(self.before, MICRO)

    @property
    def units(self) -> Fraction:
        """How many units were used."""
        return Fraction(sum(self.amounts), MICRO)


def between(cost: Callable[[Fraction], Fraction], used: Used) -> Fraction:
    """What the stretch adds to a cost that grows with the units of the period; what was due before it isn't again."""
    return cost(used.start + used.units) - cost(used.start)
