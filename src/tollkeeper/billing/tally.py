"""What calls that are alike used together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.resolve import Call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.events.event import UsageEvent

__all__ = ["Tally", "tally_events"]


class Tally(Struct, frozen=True, kw_only=True):
    """The ``units`` (millionths) of calls of one consumer and route, from the ``first`` time (µs) to the ``last``."""

    call: Call
    first: int
    last: int
    units: int


def tally_events(events: Iterable[UsageEvent], step: int) -> list[Tally]:
    """Add up events of known consumers that the gate has not counted, those alike in one ``step`` (µs) of time."""
    groups: defaultdict[tuple[Call, int], list[UsageEvent]] = defaultdict(list)
    for event in events:
        if event.consumer is not None and not event.gated:
            call = Call(
                consumer=event.consumer.key,
                api=event.api or None,
                api_version=event.api_version or None,
                endpoint=event.route,
                method=event.method,
            )
            groups[call, event.time_us // step].append(event)
    return [
        Tally(
            call=call,
            first=min(event.time_us for event in found),
            last=max(event.time_us for event in found),
            units=sum(event.units_micro for event in found),
        )
        for (call, _), found in groups.items()
    ]
