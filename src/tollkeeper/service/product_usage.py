"""What was called of an API, by the routes that are registered for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.resolve import Call
from tollkeeper.metering.usage import Filters, Totals, UsageQuery
from tollkeeper.service.resolution import load_resolver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.metering.usage import UsageRow
    from tollkeeper.service.periods import Period
    from tollkeeper.store.protocols import EventStore, RecordStore

__all__ = ["CalledRoute", "RouteUsage", "requests_by_api", "usage_by_route", "usage_of_route"]


class CalledRoute(Struct, frozen=True, kw_only=True):
    """An endpoint as events name it; ``route`` is the id of the registered route whose calls these are, if there is."""

    api_version: str | None
    method: str
    endpoint: str
    route: str | None
    totals: Totals


class RouteUsage(Struct, frozen=True):
    """What was called, most requests first, and the requests of each registered route, by its id."""

    called: list[CalledRoute]
    requests: dict[str, int]


def requests_by_api(events: EventStore, period: Period) -> dict[str | None, int]:
    """Count the requests of each API, by the name that events call it; None is of those that name none."""
    counts: dict[str | None, int] = {}
    for row in events.usage(UsageQuery(start=period.start, end=period.end, group_by=("route",))):
        name = _route(row.key[0])[2]
        counts[name] = counts.get(name, 0) + row.totals.requests
    return counts


def usage_by_route(catalog: RecordStore, events: EventStore, api: str, period: Period) -> RouteUsage:
    """Read which routes of an API were called, in one question, and whose calls these are in the catalogue.

    ``api`` is the name that events give; a call that names no API is not among them.
    """
    resolver = load_resolver(catalog, ())
    called = []
    requests: dict[str, int] = {}
    query = UsageQuery(start=period.start, end=period.end, group_by=("route",), filters=Filters(api=api))
    for row in events.usage(query):
        method, endpoint, _, version = _route(row.key[0])
        found = resolver.resolve(Call(api=api, api_version=version, endpoint=endpoint, method=method), period.end)
        route = found.route.id if found.route else None
        called.append(
            CalledRoute(api_version=version, method=method, endpoint=endpoint, route=route, totals=row.totals)
        )
        if route is not None:
            requests[route] = requests.get(route, 0) + row.totals.requests
    called.sort(key=lambda one: (-one.totals.requests, one.endpoint, one.method))
    return RouteUsage(called, requests)


def usage_of_route(
    events: EventStore, called: Iterable[CalledRoute], period: Period, *, step: int, filters: Filters
) -> list[UsageRow]:
    """Read the usage of what was called, by step (in microseconds) and status, with latencies.

    ``filters`` name the API and an endpoint; of the calls that they let through only those count that are among these.
    """
    wanted = {(one.method, one.endpoint, one.api_version) for one in called}
    query = UsageQuery(
        start=period.start, end=period.end, step=step, group_by=("route", "status"), filters=filters, sketches=True
    )
    rows = []
    for row in events.usage(query):
        method, endpoint, _, version = _route(row.key[0])
        if (method, endpoint, version) in wanted:
            rows.append(replace(row, key=row.key[1:]))
    return rows


def _route(value: object) -> tuple[str, str, str | None, str | None]:
    return cast("tuple[str, str, str | None, str | None]", value)
