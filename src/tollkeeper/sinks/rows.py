"""The columns of the table of events, which all relational destinations share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tollkeeper.events.event import UsageEvent

__all__ = ["COLUMNS", "TABLE", "UNFIT", "row_of"]

TABLE = "usage_events"
COLUMNS = (
    *("source", "id", "time", "method", "path", "route", "status_code", "elapsed_time", "consumer", "api"),
    *("api_version", "units", "document"),
)
# What is raised when the values of an event cannot be written down.
UNFIT = (ArithmeticError, RecursionError, TypeError, ValueError)


def row_of(event: UsageEvent) -> tuple[Any, ...]:
    """Return the values of the columns; the document is the whole event as JSON, as it stands on the wire."""
    return (
        event.source,
        event.id,
        event.time,
        event.method,
        event.path,
        event.route,
        event.status_code,
        event.request.elapsed_time,
        event.consumer.key if event.consumer else None,
        event.api,
        event.api_version,
        event.units,
        msgspec.json.encode(event).decode(),
    )
