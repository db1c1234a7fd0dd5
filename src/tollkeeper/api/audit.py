"""``/v1/audit``: who changed what, from what, to what."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, list_records
from tollkeeper.service.periods import parse_time
from tollkeeper.store.audit import AuditEntry

__all__ = ["get_audit"]


@get("/v1/audit", sync_to_thread=True, summary="Who changed what", tags=["Audit"])
def get_audit(
    *,
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    record: Annotated[str | None, QueryParameter(description="Id of what was changed.")] = None,
    kind: Annotated[str | None, QueryParameter(description="Kind of what was changed, e.g. plan.")] = None,
    actor: Annotated[str | None, QueryParameter(description="Name of the token that was used.")] = None,
    start: Annotated[str | None, QueryParameter(name="from", description="Start, included.")] = None,
    end: Annotated[str | None, QueryParameter(name="to", description="End, excluded.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[AuditEntry]]:
    """List changes, newest first."""
    with service.catalog.reading() as records:
        listed = list_records(
            records,
            AuditEntry,
            after=after,
            limit=limit,
            newest_first=True,
            start=from_microseconds(parse_time("from", start)) if start else None,
            end=from_microseconds(parse_time("to", end)) if end else None,
            record=record,
            kind=kind,
            actor=actor,
        )
    return paged(request, listed)
