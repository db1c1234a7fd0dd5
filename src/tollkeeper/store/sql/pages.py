"""Single events, newest first, by keyset: a page costs the same wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.metering.window import HOUR
from tollkeeper.store.sql.filters import condition_for
from tollkeeper.store.sql.held import folded_hours
from tollkeeper.store.sql.rows import SELECT_EVENT, event_from_row

if TYPE_CHECKING:
    from tollkeeper.metering.usage import Filters
    from tollkeeper.store.protocols import StoredEvent
    from tollkeeper.store.sql.reading import Select

__all__ = ["read_page"]

Place = tuple[int, int]
"""A time in microseconds, and the ``seq`` of an event of that time."""

EARLIEST, LATEST = (-1, -1), (2**62, 2**62)
ORDER = "ORDER BY time DESC, seq DESC"
# The plus keeps engines from going back in time, through all events, for a match that is not folded yet.
UNFOLDED = f"""
    SELECT * FROM event WHERE seq IN (
        SELECT seq FROM event WHERE seq > ? AND (+time, +seq) < (?, ?) AND (+time, +seq) > (?, ?){{condition}}
        ORDER BY +time DESC, +seq DESC LIMIT ?
    ) {ORDER}
"""


def read_page(
    select: Select, filters: Filters, *, before: Place | None, after: Place | None, limit: int
) -> list[StoredEvent]:
    """List up to ``limit`` events between two places, within one snapshot."""
    condition = condition_for(select, filters)
    if condition.impossible:
        return []
    first, last = after or EARLIEST, before or LATEST
    if not condition.sql:
        return [event_from_row(row) for row in select(_newest(""), (*last, *first, limit))]
    ((watermark,),) = select("SELECT folded FROM watermark", ())
    unfolded = _whole(UNFOLDED.format(condition=condition.sql))
    rows = select(unfolded, (watermark, *last, *first, *condition.values, limit))
    within = _newest(f" AND seq <= ?{condition.sql}")
    for hour in folded_hours(select, condition, first[0], last[0] + 1, latest_first=True):
        if len(rows) >= limit and rows[limit - 1][3] >= hour + HOUR:
            break
        # One pair of limits: with those of the page beside those of the hour, an engine may choose the wrong ones.
        limits = *min(last, (hour + HOUR, -1)), *max(first, (hour, -1))
        rows += select(within, (*limits, watermark, *condition.values, limit))
        rows.sort(key=lambda row: (row[3], row[0]), reverse=True)
    return [event_from_row(row) for row in rows[:limit]]


def _newest(condition: str) -> str:
    """The newest events between two places, found before anything is looked up for them."""
    return _whole(f"SELECT * FROM event WHERE (time, seq) < (?, ?) AND (time, seq) > (?, ?){condition} {ORDER} LIMIT ?")


def _whole(found: str) -> str:
    return f"{SELECT_EVENT.format(event=f'({found}) AS event')} {ORDER}"
