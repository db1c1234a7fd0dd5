"""``/v1/quotas``: where limits stand."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed
from tollkeeper.service.quota_list import AskedState, QuotaOrder, list_quotas
from tollkeeper.service.quota_status import QuotaStatus

__all__ = ["get_quotas"]


@get("/v1/quotas", sync_to_thread=True, summary="Show where quotas stand", tags=["Gate"])
def get_quotas(  # noqa: PLR0917  # Litestar gives all of them by name
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    customer: Annotated[str | None, QueryParameter(description="Id of a customer.")] = None,
    subscription: Annotated[str | None, QueryParameter(description="Id of a subscription.")] = None,
    asked: Annotated[
        AskedState, QueryParameter(name="state", description="Only those from 80 % on, or only those used up.")
    ] = "all",
    order: Annotated[QuotaOrder, QueryParameter(description="As they were made, or the fullest first.")] = "made",
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[QuotaStatus]]:
    """Show the limits of subscriptions that go on, each in the period of now."""
    listed = list_quotas(
        service.catalog,
        service.quotas,
        customers=None if customer is None else [customer],
        subscription=subscription,
        state=asked,
        order=order,
        after=after,
        limit=limit,
    )
    return paged(request, listed)
