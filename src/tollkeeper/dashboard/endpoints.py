"""Every route with its figures, and one of them in depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get

from tollkeeper.dashboard.charts import latency_chart, request_chart
from tollkeeper.dashboard.heatmap import load_heatmap
from tollkeeper.dashboard.newest import suggest
from tollkeeper.dashboard.series import load_buckets
from tollkeeper.dashboard.tables import COLUMNS, parse_order, to_csv
from tollkeeper.dashboard.view import parse_view
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.figures import figure
from tollkeeper.service.usage import top

if TYPE_CHECKING:
    from litestar.di import NamedDependency

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.dashboard.view import View
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.usage import TopRow
    from tollkeeper.store.protocols import EventStore

__all__ = ["endpoints", "endpoints_csv"]

PAGE = 50


@get("/endpoints", sync_to_thread=True)
def endpoints(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List the routes of the span; when one is chosen, show its charts and its week too."""
    view = parse_view(request)
    order = parse_order(view.query.get("sort"))
    store = service.events
    rows = order.apply(_routes(store, view))
    if not rows:
        return pages.render(request, "empty.html", view=view, title="Endpoints", newest=suggest(store, view))
    page = _page(view.query.get("page"), len(rows))
    chosen = view.filters.route is not None
    buckets = load_buckets(store, view.range, view.filters) if chosen else []
    return pages.render(
        request,
        "endpoints.html",
        view=view,
        rows=rows[(page - 1) * PAGE : page * PAGE],
        total=len(rows),
        page=page,
        last_page=_last_page(len(rows)),
        columns=COLUMNS,
        order=order,
        figure=figure,
        charts=[chart(view, buckets) for chart in (request_chart, latency_chart)] if chosen else [],
        heatmap=load_heatmap(store, view) if chosen else None,
    )


@get("/endpoints.csv", sync_to_thread=True)
def endpoints_csv(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Send all routes of the span with all figures."""
    view = parse_view(request)
    order = parse_order(view.query.get("sort"))
    return to_csv(
        "endpoints",
        ["method", "route", *(column.csv for column in COLUMNS)],
        (
            [*row.label.split(" ", 1), *(figure(column.metric, row.totals) for column in COLUMNS)]
            for row in order.apply(_routes(service.events, view))
        ),
    )


def _routes(store: EventStore, view: View) -> list[TopRow]:
    return top(store, "route", view.range.period, filters=view.filters, limit=None)


def _last_page(count: int) -> int:
    return -(-count // PAGE)


def _page(text: str | None, count: int) -> int:
    """Read ``page``, from 1; one behind the last is the last."""
    if not text:
        return 1
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):  # noqa: PLR2004  # billions of pages
        raise InvalidRequestError(f"page is {text!r}: give a number from 1.")
    return min(int(text), _last_page(count))
