"""The request log: newest first, live, and each request in full."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, get

from tollkeeper.dashboard.newest import suggest
from tollkeeper.dashboard.ranges import PRESETS
from tollkeeper.dashboard.tables import to_csv
from tollkeeper.dashboard.view import parse_view
from tollkeeper.errors import NotFoundError
from tollkeeper.service.periods import Period
from tollkeeper.service.request_log import find_event, list_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.di import NamedDependency
    from litestar.params import FromPath

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.dashboard.view import View
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import EventStore, StoredEvent

__all__ = ["newer_requests", "one_request", "request_log", "requests_csv"]

PAGE = 50
OPEN_END = 2**62
UNKNOWN_BROWSER = "None None"  # of a user agent that names no browser
LIVE_ROWS = 200
CSV_PAGE = 1000
CSV_ROWS = 10_000
NO_CONTENT = 204
HEAD = [
    "time",
    "id",
    "source",
    "method",
    "path",
    "route",
    "status_code",
    "consumer",
    "elapsed_seconds",
    "bytes",
    "units",
]


@get("/requests", sync_to_thread=True)
def request_log(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List a page of requests; its first page goes on living, unless the span has an end of its own."""
    view = parse_view(request)
    after = view.query.get("after") or None
    events, following, newest = _page(service.events, view, after, PAGE)
    live = after is None and view.range.name in PRESETS
    if not events and not live:
        return pages.render(request, "empty.html", view=view, title="Request log", newest=suggest(service.events, view))
    return pages.render(
        request,
        "requests.html",
        view=view,
        events=events,
        following=following,
        newest_event=None if events else suggest(service.events, view),
        newest=newest or f"{view.range.start}.0",
        live=live,
        after=after,
    )


@get("/requests/newer", sync_to_thread=True, status_code=200)
def newer_requests(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[Any]:
    """Send the rows that are newer than a cursor, with a cursor to go on from; 204 while there are none."""
    view = parse_view(request)
    page = list_events(
        service.events, filters=view.filters, newer_than=view.query.get("after") or "0.0", limit=LIVE_ROWS
    )
    if not page.events:
        return Response(None, status_code=NO_CONTENT)
    return pages.render(request, "_log_rows.html", view=view, events=page.events, newest=page.newest, live=True)


@get("/requests/{seq:str}", sync_to_thread=True)
def one_request(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    seq: FromPath[str],
) -> Response[bytes]:
    """Show all that was captured of one request: a page of its own, of which htmx takes the part for the drawer."""
    view = parse_view(request)
    if not (seq.isascii() and seq.isdigit()) or len(seq) > 19:  # noqa: PLR2004  # digits of a 64-bit integer
        raise NotFoundError(f"There is no request {seq[:40]!r}: open one from the request log.")
    stored = find_event(service.events, int(seq))
    document = _document(stored.event)
    client = {name: value for name, value in (document or {}).get("client", {}).items() if value != UNKNOWN_BROWSER}
    return pages.render(
        request, "request.html", view=view, seq=stored.seq, event=stored.event, document=document, client=client
    )


@get("/requests.csv", sync_to_thread=True)
def requests_csv(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Send the requests of the log, the newest 10,000 at most."""
    view = parse_view(request)
    rows = itertools.islice(_all(service.events, view), CSV_ROWS)
    return to_csv("requests", HEAD, (_row(stored) for stored in rows))


def _page(
    store: EventStore, view: View, after: str | None, limit: int
) -> tuple[list[StoredEvent], str | None, str | None]:
    """The events of the span from a cursor on, the cursor of the next page, and the one of what comes later."""
    span = view.range.asked
    end = OPEN_END if view.range.name in PRESETS else span.end
    page = list_events(store, filters=view.filters, period=Period(span.start, end), after=after, limit=limit)
    return page.events, page.next, page.newest


def _all(store: EventStore, view: View) -> Iterator[StoredEvent]:
    after: str | None = None
    while True:
        events, after, _ = _page(store, view, after, CSV_PAGE)
        yield from events
        if after is None:
            return


def _document(event: UsageEvent) -> dict[str, Any] | None:
    """The whole event; None when it holds what Python cannot read, as a number without end or a bottomless nesting."""
    try:
        return event.document()
    except (RecursionError, msgspec.MsgspecError, ValueError):
        return None


def _row(stored: StoredEvent) -> list[Any]:
    event = stored.event
    return [
        event.time.isoformat(),
        event.id,
        event.source,
        event.method,
        event.path,
        event.route,
        event.status_code,
        event.consumer.key if event.consumer else None,
        event.request.elapsed_time,
        event.response.content_length,
        event.units,
    ]
