"""Reading events in memory group by group, as plain as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from tollkeeper.events.event import Client, Request, Response
from tollkeeper.store.protocols import StoredEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.store.protocols import EventSpan

__all__ = ["walk_memory"]


def walk_memory(
    stored: Sequence[StoredEvent], span: EventSpan, groups: Sequence[Sequence[str]] | None
) -> Iterator[tuple[int, StoredEvent]]:
    """Sort what matches of all events; see ``EventStore.walk``."""
    keys: list[Sequence[str | None]]
    if groups is None:
        known = dict.fromkeys(one.event.consumer.key for one in stored if one.event.consumer)
        keys = [[None], *([key] for key in known)]
    else:
        keys = list(groups)
    place_of = {key: place for place, group in enumerate(keys) for key in group}
    found = []
    for one in stored:
        place = place_of.get(one.event.consumer.key if one.event.consumer else None)
        if place is not None and span.start <= one.event.time_us < span.end and span.after < one.seq <= span.until:
            found.append((place, one if span.whole else StoredEvent(one.seq, _without_detail(one.event))))
    return iter(sorted(found, key=lambda item: (item[0], item[1].event.time_us, item[1].seq)))


def _without_detail(event: UsageEvent) -> UsageEvent:
    return replace(
        event,
        url=None,
        exception=None,
        error=None,
        variables=UNSET,
        client=Client(),
        request=Request(elapsed_time=event.request.elapsed_time),
        response=Response(content_length=event.response.content_length),
    )
