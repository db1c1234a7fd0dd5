"""Adding up what consumers used, for the counters of their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.resolve import Call
from tollkeeper.billing.tally import Tally
from tollkeeper.store.sql.dimensions import NOBODY

if TYPE_CHECKING:
    from tollkeeper.store.sql.reading import Select

__all__ = ["read_tally"]

# No event has a million units, so that no sum of these is too large for 64 bits.
TALLY = f"""
    SELECT key, api, api_version, template, method, first, last, units FROM (
        SELECT consumer_id, route_id, MIN(time) AS first, MAX(time) AS last, CAST(SUM(units) AS BIGINT) AS units
        FROM event WHERE seq > ? AND seq <= ? AND gated = 0 AND consumer_id <> {NOBODY}
        GROUP BY consumer_id, route_id, time / ?
    ) AS called JOIN consumer USING (consumer_id) JOIN route USING (route_id)
"""


def read_tally(select: Select, newest: int, after: int, limit: int, step: int) -> tuple[list[Tally], int]:
    """Add up to ``limit`` events behind ``after`` up, ``newest`` being the last there is; see ``UsageStore``."""
    last = max(min(newest, after + limit), after)
    if last == after:
        return [], after
    found = [
        Tally(
            call=Call(consumer=key, api=api or None, api_version=version or None, endpoint=template, method=method),
            first=first,
            last=end,
            units=units,
        )
        for key, api, version, template, method, first, end, units in select(TALLY, (after, last, step))
    ]
    return found, last
