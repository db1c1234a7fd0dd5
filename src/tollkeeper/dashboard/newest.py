"""What to look at instead when a page has nothing to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.dashboard.formats import moment
from tollkeeper.dashboard.ranges import to_field
from tollkeeper.metering.window import DAY

if TYPE_CHECKING:
    from tollkeeper.dashboard.view import View
    from tollkeeper.store.protocols import EventStore

__all__ = ["Suggestion", "suggest"]


class Suggestion(Struct, frozen=True):
    """When the latest request came that the filters let through, and the address of the 30 days that end with it."""

    when: str
    url: str


def suggest(store: EventStore, view: View) -> Suggestion | None:
    """Find the latest request up to today under the view's filters; None when there is none."""
    tomorrow = (view.range.now // DAY + 1) * DAY  # no span ends later, whatever an event says of its time
    found = store.page(view.filters, before=(tomorrow, 0), after=None, limit=1)
    if not found:
        return None
    newest = found[0].event.time_us
    end = (newest // DAY + 1) * DAY
    return Suggestion(
        moment(newest, "%b %-d, %Y, %H:%M UTC"), view.url(from_=to_field(end - 30 * DAY), to=to_field(end))
    )
