"""Rate limits by the generic cell rate algorithm (GCRA): one number tells how full the bucket is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from tollkeeper.billing.limit import Rate

__all__ = ["Pace", "pace_of"]

MICRO = 1_000_000
SECONDS = {"second": 1, "minute": 60}


class Pace(Struct, frozen=True):
    """A rate as GCRA has it: microseconds from one unit to the next, and how many units may come at once.

    In any span of time t, no more than ``burst + t / interval`` units come. What is taken now to be used within
    ``slack`` µs is taken as if it came at the end of that time, and admitted as if it came now: so the pace holds
    whenever it is used, beside units without slack, too. Give the same ``slack`` to ``room`` and to ``after``.
    """

    interval: int
    burst: int

    def room(self, arrival: int, now: int, *, slack: int = 0) -> int:
        """How many whole units may come now (µs) after an ``arrival``."""
        span = self.interval * self.burst - max(arrival - now, slack)
        return max(span // self.interval, 0)

    def after(self, arrival: int, now: int, units_micro: int, *, slack: int = 0) -> int:
        """The arrival after units (millionths) came."""
        return max(arrival, now + slack) + -(-units_micro * self.interval // MICRO)

    def wait(self, arrival: int, now: int, units_micro: int) -> int:
        """µs until these units may come, 0 being now; they never may when there are more of them than the burst."""
        return max(self.after(arrival, now, units_micro) - now - self.interval * self.burst, 0)


def pace_of(rate: Rate) -> Pace:
    """The pace of a rate: whole µs between units, rounded up, so it is never faster; a figure of 0 admits nothing."""
    seconds = SECONDS[rate.per]
    figure = rate.rate or 0
    if not figure:
        return Pace(seconds * MICRO, 0)
    return Pace(-(-seconds * MICRO // figure), rate.burst or figure)
