"""``/v1/routes``: the routes of APIs, and their prices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_named, find_record, list_records
from tollkeeper.service.routes import NewPrice, NewRoute, create_price, create_route, set_retired
from tollkeeper.service.views import RouteView, show_routes

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Records

__all__ = ["ROUTE_HANDLERS"]

TAGS = ["Routes"]


class RoutePatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of a route: whether it is closed to calls."""

    retired: bool


@get("/v1/routes", sync_to_thread=True, summary="List routes", tags=TAGS)
def get_routes(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    api: Annotated[str | None, QueryParameter(description="Name or id of an API.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[RouteView]]:
    """List routes with the price in force, oldest first."""
    with service.catalog.reading() as records:
        versions = None
        if api:
            found = find_named(records, Api, api, "name")
            versions = [version.id for version in records.find(ApiVersion, api=found.id)]
        listed = list_records(records, ApiRoute, after=after, limit=limit, version=versions)
        return paged(request, Listed(show_routes(records, listed.items, datetime.now(UTC)), listed.next))


@post("/v1/routes", sync_to_thread=True, opt=ADMIN, summary="Make a route", tags=TAGS)
def post_route(write: NamedDependency[Write], data: JSONBody[NewRoute]) -> Response[RouteView]:
    """Make a route, with its first price."""
    return write.create(lambda edit: _show(edit.records, create_route(edit, data).id, edit.now), data, "routes")


@get("/v1/routes/{route:str}", sync_to_thread=True, summary="Show a route", tags=TAGS)
def get_route(service: NamedDependency[Service], route: FromPath[str]) -> Response[RouteView]:
    """Show a route with the price in force."""
    with service.catalog.reading() as records:
        return shown(_show(records, route, datetime.now(UTC)))


@patch("/v1/routes/{route:str}", sync_to_thread=True, opt=ADMIN, summary="Close or open a route", tags=TAGS)
def patch_route(
    write: NamedDependency[Write],
    route: FromPath[str],
    data: JSONBody[RoutePatch],
) -> Response[RouteView]:
    """Close a route to calls, or open it again."""
    return write.change(
        lambda edit: set_retired(edit, route, retired=data.retired),
        lambda records: _show(records, route, datetime.now(UTC)),
        data,
    )


@get("/v1/routes/{route:str}/prices", sync_to_thread=True, summary="List prices", tags=TAGS)
def get_prices(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    route: FromPath[str],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[RoutePrice]]:
    """List what a call of a route has cost, costs and is to cost, in the order that it was set."""
    with service.catalog.reading() as records:
        found = find_record(records, ApiRoute, route)
        return paged(request, list_records(records, RoutePrice, after=after, limit=limit, route=found.id))


@post("/v1/routes/{route:str}/prices", sync_to_thread=True, opt=ADMIN, summary="Set a price", tags=TAGS)
def post_price(write: NamedDependency[Write], route: FromPath[str], data: JSONBody[NewPrice]) -> Response[RoutePrice]:
    """Set what a call of a route costs from a time on."""
    return write.create(lambda edit: create_price(edit, route, data), data, f"routes/{route}/prices")


def _show(records: Records, route: str, now: datetime) -> RouteView:
    return show_routes(records, [find_record(records, ApiRoute, route)], now)[0]


ROUTE_HANDLERS = [get_routes, post_route, get_route, patch_route, get_prices, post_price]
