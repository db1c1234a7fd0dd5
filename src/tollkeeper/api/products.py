"""``/v1/apis``: APIs and their versions."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.product import Api, ApiVersion
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.service.products import NewApi, create_api, create_version

__all__ = ["PRODUCT_HANDLERS"]

TAGS = ["APIs"]


@get("/v1/apis", sync_to_thread=True, summary="List APIs", tags=TAGS)
def get_apis(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[Api]]:
    """List APIs, oldest first."""
    with service.catalog.reading() as records:
        return paged(request, list_records(records, Api, after=after, limit=limit))


@post("/v1/apis", sync_to_thread=True, opt=ADMIN, summary="Make an API", tags=TAGS)
def post_api(write: NamedDependency[Write], data: JSONBody[NewApi]) -> Response[Api]:
    """Make an API."""
    return write.create(lambda edit: create_api(edit, data), data, "apis")


@get("/v1/apis/{api:str}", sync_to_thread=True, summary="Show an API", tags=TAGS)
def get_api(service: NamedDependency[Service], api: FromPath[str]) -> Response[Api]:
    """Show an API by its id."""
    with service.catalog.reading() as records:
        return shown(find_record(records, Api, api))


@get("/v1/apis/{api:str}/versions", sync_to_thread=True, summary="List versions", tags=TAGS)
def get_versions(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    api: FromPath[str],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[ApiVersion]]:
    """List the versions of an API, oldest first."""
    with service.catalog.reading() as records:
        found = find_record(records, Api, api)
        return paged(request, list_records(records, ApiVersion, after=after, limit=limit, api=found.id))


@post("/v1/apis/{api:str}/versions", sync_to_thread=True, opt=ADMIN, summary="Make a version", tags=TAGS)
def post_version(write: NamedDependency[Write], api: FromPath[str], data: JSONBody[NewApi]) -> Response[ApiVersion]:
    """Make a version of an API."""
    return write.create(
        lambda edit: create_version(edit, find_record(edit.records, Api, api).id, data), data, f"apis/{api}/versions"
    )


PRODUCT_HANDLERS = [get_apis, post_api, get_api, get_versions, post_version]
