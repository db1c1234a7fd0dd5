"""One route of an API: its prices by date, and its usage."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from litestar import Request, Response, get
from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.price import price_at
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.dashboard.charts import latency_chart, request_chart
from tollkeeper.dashboard.series import add_up, to_buckets
from tollkeeper.dashboard.view import parse_view
from tollkeeper.errors import NotFoundError
from tollkeeper.metering.usage import Filters
from tollkeeper.service.figures import figure
from tollkeeper.service.listing import find_record
from tollkeeper.service.product_usage import usage_by_route, usage_of_route
from tollkeeper.service.views import show_routes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.di import NamedDependency
    from litestar.params import FromPath

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service

__all__ = ["ROUTE_PAGES"]

CALLED = 50


class Span(Struct, frozen=True):
    """A price with the time that ends it, None for the last."""

    price: RoutePrice
    until: datetime | None
    state: Literal["past", "in force", "to come"]


@get("/apis/{api:str}/{route:str}", sync_to_thread=True)
def one_route(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    api: FromPath[str],
    route: FromPath[str],
) -> Response[bytes]:
    """Show a route's prices, newest first, and its usage; charts where the route is of one endpoint."""
    view = parse_view(request)
    now = datetime.now(UTC)
    with service.catalog.reading() as records:
        found, owner = find_record(records, ApiRoute, route), find_record(records, Api, api)
        if find_record(records, ApiVersion, found.version).api != owner.id:
            raise NotFoundError(f"There is no route {route[:100]!r} of {owner.name!r}: open one from its API.")
        (shown,) = show_routes(records, [found], now)
        prices = records.find(RoutePrice, route=found.id)
    used = usage_by_route(service.catalog, service.events, owner.name, view.range.period)
    called = [one for one in used.called if one.route == found.id]
    view = replace(view, filters=Filters(status=view.filters.status))
    totals, charts = add_up(one.totals for one in called), []
    if found.endpoint is not None:
        filters = replace(view.filters, api=owner.name, route=found.endpoint)
        rows = usage_of_route(service.events, called, view.range.period, step=view.range.step, filters=filters)
        buckets = to_buckets(view.range, rows)
        totals = add_up(bucket.totals for bucket in buckets)
        charts = [chart(view, buckets) for chart in (request_chart, latency_chart)]
    return pages.render(
        request,
        "route.html",
        view=view,
        api=owner,
        route=shown,
        prices=list(_spans(prices, now)),
        totals=totals,
        called=called[:CALLED],
        charts=charts,
        figure=figure,
    )


def _spans(prices: Iterable[RoutePrice], now: datetime) -> Iterable[Span]:
    ordered = sorted(prices, key=lambda price: price.valid_from, reverse=True)
    current = price_at(ordered, now)
    until = None
    for price in ordered:
        state: Any = "in force" if price is current else "to come" if price.valid_from > now else "past"
        yield Span(price, until, state)
        until = price.valid_from


ROUTE_PAGES = (one_route,)
