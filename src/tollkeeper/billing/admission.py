"""Whether there is room for a call: all or nothing over everything that bounds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tollkeeper.billing.bounds import Bounds
    from tollkeeper.billing.counter import Counter

__all__ = ["Refusal", "caught_up", "count", "find_refusal", "moved"]

MICRO = 1_000_000
MOST_SKEW = 60 * MICRO
NEVER = 2**63
MOST = 2**63 - 1
"""As much as a store can count; there it stays."""


class Refusal(Struct, frozen=True):
    """What leaves no room for a call: the name of a quota, or of a rate when ``paced``.

    ``wait`` is how many µs until it may be otherwise, None when it never is. With ``held``, what is kept free for other
    calls is all that is in the way.
    """

    name: str
    paced: bool
    wait: int | None
    held: bool = False


def find_refusal(bounds: Bounds, counters: Mapping[str, Counter], units: int, now: int) -> Refusal | None:
    """Why units (millionths) may not be used now (µs): what has to be waited for longest; None when they may.

    ``counters`` are those that there are, by their ids.
    """
    refusals = list(_refusals(bounds, counters, units, now))
    if not refusals:
        return None
    worst = max(refusals, key=lambda refusal: NEVER if refusal.wait is None else refusal.wait)
    return replace(worst, held=all(refusal.held for refusal in refusals))


def count(
    bounds: Bounds, counters: Mapping[str, Counter], units: int, now: int, *, held: bool, slack: int = 0
) -> list[Counter]:
    """The counters with units (millionths) used, or ``held``; a rate's has them behind it either way.

    ``slack`` (µs) is how much later they may come.
    """
    quotas = [quota.counter(counters) for quota in bounds.quotas]
    counted = [moved(counter, held=units) if held else moved(counter, used=units) for counter in quotas]
    for rate in bounds.rates:
        counter = rate.counter(counters)
        counted.append(replace(counter, arrival=min(rate.pace.after(counter.arrival, now, units, slack=slack), MOST)))
    return counted


def caught_up(bounds: Bounds, counters: Mapping[str, Counter], now: int) -> list[Counter]:
    """The counters of rates, as they are to be, whose arrival lies further ahead than the pace can have brought it.

    That is so when a rate was raised or the clock set back; clocks that differ by less than a minute are no reason.
    """
    found = []
    for rate in bounds.rates:
        counter, full = rate.counter(counters), now + rate.pace.interval * rate.pace.burst
        if counter.arrival > full + MOST_SKEW:
            found.append(replace(counter, arrival=full))
    return found


def moved(counter: Counter, *, used: int = 0, held: int = 0) -> Counter:
    """A counter with so much more used and held, or less; one that was closed is to be closed anew."""
    used, held = min(counter.used + used, MOST), max(min(counter.held + held, MOST), 0)
    return replace(counter, used=used, held=held, closed_at=None)


def _refusals(bounds: Bounds, counters: Mapping[str, Counter], units: int, now: int) -> Iterator[Refusal]:
    for quota in bounds.quotas:
        if not quota.hard:
            continue
        counter = quota.counter(counters)
        free = quota.units + counter.carried - counter.used
        if units > free - counter.held:
            wait = None if units > quota.units else max(counter.ends_at - now, 0)
            yield Refusal(quota.name, paced=False, wait=wait, held=units <= free)
    for rate in bounds.rates:
        counter = rate.counter(counters)
        wait = rate.pace.wait(counter.arrival, now, units)
        if wait > 0:
            yield Refusal(rate.name, paced=True, wait=None if units > rate.pace.burst * MICRO else wait)
