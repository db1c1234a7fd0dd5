"""Giving back what holds keep free: when calls are reported that were reserved, and when a hold has expired."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.counter import Hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Settled", "Usage", "expire", "settle"]


class Usage(Struct, frozen=True):
    """Whose calls were of what endpoint, and the ids of the counters that they count in."""

    consumer: str
    endpoint: str | None
    counters: frozenset[str]


class Settled(Struct, frozen=True):
    """A hold as it is to stand, and the units (millionths) that its counters hold no more."""

    hold: Hold
    units: int


def settle(holds: Iterable[Hold], used: Mapping[Usage, int]) -> list[Settled]:
    """Settle open reservations, the oldest first, by the units (millionths) that were ``used``.

    Usage settles only what holds room in no other counters than it counts in: another API's, or yesterday's, settles
    nothing. First those of its endpoint are settled, then those for any; what is left of it settles nothing.
    """
    left = dict(used)
    # The narrowest first: it is of use to the fewest.
    usages = sorted(used, key=lambda usage: (len(usage.counters), sorted(usage.counters)))
    matching: dict[tuple[str, str | None, frozenset[str]], deque[Usage]] = {}
    settled: list[Settled] = []
    for hold in sorted(holds, key=lambda hold: hold.endpoint is None):
        kind = (hold.consumer, hold.endpoint, frozenset(hold.counters))
        if kind not in matching:
            matching[kind] = deque(usage for usage in usages if _may_settle(usage, *kind))
        units = _take(matching[kind], left, hold.units - hold.used)
        if units:
            done = hold.used + units
            is_open = done < hold.units
            # Of one that is done nothing more is heard: it need not be remembered.
            end = hold.expires_at if is_open else 0
            settled.append(Settled(replace(hold, used=done, open=is_open, expires_at=end), units))
    return settled


def _may_settle(usage: Usage, consumer: str, endpoint: str | None, counters: frozenset[str]) -> bool:
    return usage.consumer == consumer and endpoint in {None, usage.endpoint} and counters <= usage.counters


def _take(usages: deque[Usage], left: dict[Usage, int], wanted: int) -> int:
    """Take units off what is left, one usage after the other; how many there were."""
    taken = 0
    while usages and taken < wanted:
        part = min(left[usages[0]], wanted - taken)
        left[usages[0]] -= part
        taken += part
        if not left[usages[0]]:
            usages.popleft()
    return taken


def expire(hold: Hold) -> Settled:
    """End an open hold: all that it still keeps free comes back; of a lease it may be said yet what was used of it."""
    end = hold.expires_at if hold.lease else 0
    return Settled(replace(hold, open=False, expires_at=end), max(hold.units - hold.used, 0))
