"""Events of a time, as rows."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.usage import Filters
from tollkeeper.service.exports.tables import Cell, Column, Export, decimal_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tollkeeper.store.protocols import EventStore, StoredEvent

__all__ = ["export_events"]

COLUMNS = (
    Column("seq", "integer", nullable=False),
    Column("source", nullable=False),
    Column("id", nullable=False),
    Column("time", "time", nullable=False),
    Column("method", nullable=False),
    Column("path", nullable=False),
    Column("route"),
    Column("status_code", "integer", nullable=False),
    Column("api"),
    Column("api_version"),
    Column("consumer"),
    Column("consumer_label"),
    Column("units", "number", nullable=False),
    Column("elapsed_seconds", "number"),
    Column("response_bytes", "integer"),
)
PAGE = 1_000
MICRO = 1_000_000


def export_events(store: EventStore, start: datetime, end: datetime) -> Export:
    """What each call in ``[start, end)`` was, newest first; headers, bodies and addresses of callers are left out."""
    return Export(COLUMNS, map(_row, _events(store, to_microseconds(start), to_microseconds(end))))


def _events(store: EventStore, start: int, end: int) -> Iterator[StoredEvent]:
    before = (end, 0)
    while page := store.page(Filters(), before=before, after=(start, 0), limit=PAGE):
        yield from page
        before = (page[-1].event.time_us, page[-1].seq)


def _row(stored: StoredEvent) -> tuple[Cell, ...]:
    event = stored.event
    elapsed, caller = event.request.elapsed_time, event.consumer
    return (
        stored.seq,
        event.source,
        event.id,
        event.time,
        event.method,
        event.path,
        event.route,
        event.status_code,
        event.api,
        event.api_version,
        caller.key if caller else None,
        caller.label if caller else None,
        event.units,
        None if elapsed is None else decimal_of(Fraction(round(elapsed * MICRO), MICRO)),
        event.response.content_length,
    )
