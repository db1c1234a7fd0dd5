"""What a meter makes of events over time, as billing reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.metering.quantity import Quantity
from tollkeeper.metering.running import Group, RunningMeter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.metering.meter import Meter

__all__ = ["metered"]


def metered(meter: Meter, events: Iterable[UsageEvent]) -> dict[Group, list[Quantity]]:
    """Put the events in order of time, and run the meter over them: its quantities by group."""
    running, found = RunningMeter(meter), dict[Group, list[Quantity]]()
    for event in sorted(events, key=lambda one: (one.time, one.source, one.id)):
        added = running.take(event)
        if added is not None:
            group, amount = added
            found.setdefault(group, []).append(Quantity(event.time, amount))
    return found | {group: [one] for group, one in running.ending().items()}
