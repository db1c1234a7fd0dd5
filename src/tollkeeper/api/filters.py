"""Filters in a query string, in the words that every ``GET`` shares."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

from tollkeeper.metering.usage import Filters

__all__ = ["filters_query"]


def filters_query(
    *,
    route: Annotated[str | None, QueryParameter(description="Route template, e.g. /users/{id}.")] = None,
    method: Annotated[str | None, QueryParameter(description="HTTP method.")] = None,
    consumer: Annotated[str | None, QueryParameter(description="Key of a consumer.")] = None,
    status: Annotated[str | None, QueryParameter(description="Status code, or a class like 4xx.")] = None,
    api: Annotated[str | None, QueryParameter(description="Name of an API.")] = None,
    api_version: Annotated[str | None, QueryParameter(description="Version of an API.")] = None,
) -> Filters:
    """Read the filters; a parameter that is absent or empty matches all."""
    filters = Filters(
        route=route or None,
        method=(method or "").upper() or None,
        consumer=consumer or None,
        status=status or None,
        api=api or None,
        api_version=api_version or None,
    )
    _ = filters.status_range
    return filters
