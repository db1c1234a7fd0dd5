"""``GET /v1/usage`` and ``GET /v1/errors``: what a customer used, in the words of api-usage-ms, for the customer."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import HeaderParameter, QueryParameter
from msgspec import Struct

from tollkeeper.api.usage_reports import ApiKeyHeader
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.customer_calls import CallLine, list_calls
from tollkeeper.service.customer_usage import Caller, UsageLine, find_caller, list_usage
from tollkeeper.service.intervals import Interval, read_interval
from tollkeeper.service.spreadsheet import harmless

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["get_errors", "get_usage"]

TAGS = ["Usage"]
CSV, JSON = "text/csv", "application/json"
DEFAULT_LIMIT = 100


class Asked(Struct, frozen=True):
    """A question of a customer; with ``details``, for up to ``limit`` single calls."""

    caller: Caller
    interval: Interval
    details: bool
    limit: int


class UsageAnswer(Struct, frozen=True, rename="camel"):
    """Usage between two dates, the end excluded."""

    interval_type: str
    from_date: datetime
    to_date: datetime
    rows: list[UsageLine]


class CallsAnswer(Struct, frozen=True, rename="camel"):
    """Single calls between two dates, the end excluded, newest first."""

    interval_type: str
    from_date: datetime
    to_date: datetime
    rows: list[CallLine]


def asked_usage(
    *,
    service: NamedDependency[Service],
    api_key: ApiKeyHeader = None,
    api_version: Annotated[
        str | None, HeaderParameter(name="apiVersion", description="Only this version; left out: all.")
    ] = None,
    interval_type: Annotated[
        str | None, QueryParameter(name="intervalType", description="d, m or y: by day, month or year (UTC).")
    ] = None,
    end_point_name: Annotated[
        str | None, QueryParameter(name="endPointName", description="Only this endpoint, which must be registered.")
    ] = None,
    from_date: Annotated[
        str | None, QueryParameter(name="fromDate", description="Start, included: YYYY-MM-DD:HH:MM:SS or ISO 8601.")
    ] = None,
    to_date: Annotated[str | None, QueryParameter(name="toDate", description="End, excluded; left out: now.")] = None,
    details: Annotated[bool, QueryParameter(description="List single calls, newest first.")] = False,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="Single calls at most.")] = DEFAULT_LIMIT,
) -> Asked:
    """Read a question; raises AuthenticationError or InvalidRequestError."""
    now = datetime.now(UTC)
    with service.catalog.reading() as records:
        caller = find_caller(
            records,
            service.keys,
            api_key,
            api_version=api_version or None,
            endpoint=end_point_name or None,
            now=now,
        )
    return Asked(caller, read_interval(interval_type, from_date, to_date, now=now), details, limit)


ASKED = {"asked": Provide(asked_usage, sync_to_thread=True)}


@get(
    "/v1/usage",
    sync_to_thread=True,
    opt={"public": True},
    dependencies=ASKED,
    summary="Usage of a customer",
    tags=TAGS,
)
def get_usage(
    request: Request[Any, Any, Any], service: NamedDependency[Service], asked: NamedDependency[Asked]
) -> Response[UsageAnswer | CallsAnswer]:
    """Add up what the customer with this key used, by period, API, version and endpoint; also as CSV."""
    if asked.details:
        return _show_calls(request, service, asked, errors=False)
    return _show(request, asked, UsageAnswer, list_usage(service.catalog, service.events, asked.caller, asked.interval))


@get(
    "/v1/errors",
    sync_to_thread=True,
    opt={"public": True},
    dependencies=ASKED,
    summary="Errors of a customer",
    tags=TAGS,
)
def get_errors(
    request: Request[Any, Any, Any], service: NamedDependency[Service], asked: NamedDependency[Asked]
) -> Response[UsageAnswer | CallsAnswer]:
    """Add up the errors that the customer with this key met, by period, API, version and endpoint; also as CSV."""
    if asked.details:
        return _show_calls(request, service, asked, errors=True)
    found = list_usage(service.catalog, service.events, asked.caller, asked.interval)
    return _show(request, asked, UsageAnswer, [line for line in found if line.errors])


def _show_calls(request: Request[Any, Any, Any], service: Service, asked: Asked, *, errors: bool) -> Response[Any]:
    period = asked.interval.period
    found = list_calls(service.catalog, service.events, asked.caller, period, errors=errors, limit=asked.limit)
    return _show(request, asked, CallsAnswer, found)


def _show(
    request: Request[Any, Any, Any], asked: Asked, kind: type[UsageAnswer | CallsAnswer], rows: Sequence[Any]
) -> Response[Any]:
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if request.accept.best_match([JSON, CSV]) == CSV:
        row = CallLine if kind is CallsAnswer else UsageLine
        return Response(_csv(row, rows), media_type=CSV, headers=headers)
    period = asked.interval.period
    start, end = from_microseconds(period.start), from_microseconds(period.end)
    return Response(kind(asked.interval.kind, start, end, list(rows)), headers=headers)


def _csv(kind: type[UsageLine | CallLine], rows: Sequence[Struct]) -> str:
    """Write rows with their names above them; a text that a spreadsheet would take for a formula is quoted."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.encode_name for field in msgspec.structs.fields(kind)])
    writer.writeheader()
    for row in rows:
        values = msgspec.to_builtins(row)
        writer.writerow({name: harmless(value) for name, value in values.items()})
    return text.getvalue()
