"""``/v1/api-errors``: what went wrong, to be looked at, resolved and replayed by who runs the service."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.failure import ApiError
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.api_errors import list_errors, replay_error, resolve_error
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_record
from tollkeeper.service.periods import parse_time

__all__ = ["ERROR_HANDLERS"]

TAGS = ["Errors"]
ONE = "/v1/api-errors/{error:str}"


class Replay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A replay, with other values for some of the report's parameters."""

    corrections: dict[str, Any] = {}


@get("/v1/api-errors", sync_to_thread=True, summary="List errors", tags=TAGS)
def get_api_errors(
    *,
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    internal: Annotated[bool | None, QueryParameter(description="Only internal ones, or only reported ones.")] = None,
    resolved: Annotated[bool | None, QueryParameter(description="Only resolved ones, or only open ones.")] = None,
    code: Annotated[str | None, QueryParameter(description="Code of the error.")] = None,
    consumer: Annotated[str | None, QueryParameter(description="Key of a consumer.")] = None,
    api: Annotated[str | None, QueryParameter(description="Name of an API.")] = None,
    api_version: Annotated[str | None, QueryParameter(description="Version of an API.")] = None,
    endpoint: Annotated[str | None, QueryParameter(description="Endpoint as it was called.")] = None,
    start: Annotated[str | None, QueryParameter(name="from", description="Start, included.")] = None,
    end: Annotated[str | None, QueryParameter(name="to", description="End, excluded.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[ApiError]]:
    """List errors, newest first."""
    with service.catalog.reading() as records:
        listed = list_errors(
            records,
            internal=internal,
            resolved=resolved,
            code=code,
            consumer=consumer,
            api=api,
            api_version=api_version,
            endpoint=endpoint,
            start=from_microseconds(parse_time("from", start)) if start else None,
            end=from_microseconds(parse_time("to", end)) if end else None,
            after=after,
            limit=limit,
        )
    return paged(request, listed)


@get(ONE, sync_to_thread=True, summary="Show an error", tags=TAGS)
def get_api_error(service: NamedDependency[Service], error: FromPath[str]) -> Response[ApiError]:
    """Show an error."""
    with service.catalog.reading() as records:
        return shown(find_record(records, ApiError, error))


@post(f"{ONE}/resolve", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Resolve an error", tags=TAGS)
def resolve_api_error(write: NamedDependency[Write], error: FromPath[str]) -> Response[ApiError]:
    """Say that it was dealt with."""
    return write.change(lambda edit: resolve_error(edit, error), lambda records: find_record(records, ApiError, error))


@post(f"{ONE}/replay", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Replay a report", tags=TAGS)
def replay_api_error(
    service: NamedDependency[Service], write: NamedDependency[Write], error: FromPath[str], data: JSONBody[Replay]
) -> Response[ApiError]:
    """Take the report of an internal error in again, once its cause is mended, and resolve it."""
    # The store writes one transaction at a time, so events come before the one that resolves, and count once anyhow.
    replay_error(service.catalog, service.events, error, data.corrections)
    return write.change(
        lambda edit: resolve_error(edit, error), lambda records: find_record(records, ApiError, error), data
    )


ERROR_HANDLERS = [get_api_errors, get_api_error, resolve_api_error, replay_api_error]
