"""What is sold: APIs, their routes, and what a call of each costs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get
from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.product import Api, ApiRoute, ApiVersion
from tollkeeper.dashboard.charts import latency_chart, request_chart
from tollkeeper.dashboard.series import add_up, load_buckets
from tollkeeper.dashboard.view import parse_view
from tollkeeper.metering.usage import Filters
from tollkeeper.service.figures import figure
from tollkeeper.service.listing import find_record, list_records
from tollkeeper.service.product_usage import requests_by_api, usage_by_route
from tollkeeper.service.views import show_routes

if TYPE_CHECKING:
    from litestar.di import NamedDependency
    from litestar.params import FromPath

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service

__all__ = ["API_PAGES"]

PAGE = 50
UNREGISTERED = 20


class Row(Struct, frozen=True, kw_only=True):
    """An API in the list."""

    api: Api
    versions: list[str]
    routes: int
    requests: int


@get("/apis", sync_to_thread=True)
def apis(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List APIs with their versions, routes and requests, and those that events name and nobody registered."""
    view = parse_view(request)
    after = view.query.get("after") or None
    counts = requests_by_api(service.events, view.range.period)
    with service.catalog.reading() as records:
        listed = list_records(records, Api, after=after, limit=PAGE)
        versions = records.find(ApiVersion, api=[api.id for api in listed.items])
        routes = Counter(route.version for route in records.find(ApiRoute, version=[one.id for one in versions]))
        named = [name for name in counts if name is not None]
        registered = {api.name for api in records.find(Api, name=named)}
    rows = []
    for api in listed.items:
        own = [version for version in versions if version.api == api.id]
        rows.append(
            Row(
                api=api,
                versions=[version.name for version in own],
                routes=sum(routes[version.id] for version in own),
                requests=counts.get(api.name, 0),
            )
        )
    unknown = sorted((-count, name or "") for name, count in counts.items() if name not in registered)
    return pages.render(
        request,
        "apis.html",
        view=view,
        rows=rows,
        unknown=[(name, -count) for count, name in unknown[:UNREGISTERED]],
        after=after,
        following=listed.next,
    )


@get("/apis/{api:str}", sync_to_thread=True)
def one_api(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    api: FromPath[str],
) -> Response[bytes]:
    """Show an API's usage, its routes with the price in force, and the routes that are called and not registered."""
    view = parse_view(request)
    after = view.query.get("after") or None
    now = datetime.now(UTC)
    with service.catalog.reading() as records:
        found = find_record(records, Api, api)
        versions = records.find(ApiVersion, api=found.id)
        listed = list_records(records, ApiRoute, after=after, limit=PAGE, version=[one.id for one in versions])
        routes = show_routes(records, listed.items, now)
    view = replace(view, filters=Filters(status=view.filters.status))
    filters = replace(view.filters, api=found.name)
    buckets = load_buckets(service.events, view.range, filters)
    used = usage_by_route(service.catalog, service.events, found.name, view.range.period)
    return pages.render(
        request,
        "api.html",
        view=view,
        api=found,
        versions=versions,
        routes=routes,
        requests=used.requests,
        unknown=[route for route in used.called if route.route is None][:UNREGISTERED],
        totals=add_up(bucket.totals for bucket in buckets),
        charts=[chart(view, buckets) for chart in (request_chart, latency_chart)],
        figure=figure,
        after=after,
        following=listed.next,
    )


API_PAGES = (apis, one_api)
