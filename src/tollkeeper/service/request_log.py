"""The single requests, newest first, and one of them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.errors import InvalidRequestError, NotFoundError
from tollkeeper.metering.usage import Filters
from tollkeeper.store.protocols import EventStore, StoredEvent

if TYPE_CHECKING:
    from tollkeeper.service.periods import Period

__all__ = ["Page", "find_event", "list_events"]

MAX_LIMIT = 1_000
INTEGER_64 = 2**63


class Page(Struct, frozen=True, kw_only=True):
    """Events, newest first. ``next`` is the cursor of the older ones, ``newest`` that of all that comes later."""

    events: list[StoredEvent]
    next: str | None
    newest: str | None


def list_events(
    store: EventStore,
    *,
    filters: Filters | None = None,
    period: Period | None = None,
    after: str | None = None,
    newer_than: str | None = None,
    limit: int = 50,
) -> Page:
    """List up to ``limit`` events that follow the cursor ``after`` (older ones), or that are newer than a cursor.

    With a period, only what lies in it. Raises InvalidRequestError for a cursor that no page gave, or a limit outside
    1 to 1,000.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequestError(f"limit is {limit}: give 1 to {MAX_LIMIT}.")
    before, since = _place(after), _place(newer_than)
    if period is not None:
        end, start = (period.end, 0), (period.start, 0)
        before, since = min(before or end, end), max(since or start, start)
    found = store.page(filters or Filters(), before=before, after=since, limit=limit + 1)
    events = found[:limit]
    return Page(
        events=events,
        next=_cursor(events[-1]) if len(found) > limit else None,
        newest=_cursor(events[0]) if events else newer_than,
    )


def find_event(store: EventStore, seq: int) -> StoredEvent:
    """Find one event by its place; raises NotFoundError."""
    event = store.get(seq) if 0 <= seq < INTEGER_64 else None
    if event is None:
        raise NotFoundError(f"There is no event {seq}: it was never stored, or its retention is over.")
    return event


def _cursor(stored: StoredEvent) -> str:
    return f"{stored.event.time_us}.{stored.seq}"


def _place(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    time, dot, seq = cursor.partition(".")
    if not (dot and time.isascii() and time.isdigit() and seq.isascii() and seq.isdigit() and len(cursor) < 40):  # noqa: PLR2004  # two 64-bit integers and a dot
        raise InvalidRequestError(
            f"The cursor {cursor!r} is none of ours: take it from the page before, or leave it out."
        )
    place = int(time), int(seq)
    if max(place) >= INTEGER_64:
        raise InvalidRequestError(
            f"The cursor {cursor!r} is none of ours: take it from the page before, or leave it out."
        )
    return place
