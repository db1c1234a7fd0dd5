"""Where the limits of all subscriptions stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from litestar import Request, Response, get

from tollkeeper.dashboard.tables import to_csv
from tollkeeper.dashboard.view import View, parse_view
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.customer_search import customers_called
from tollkeeper.service.quota_list import AskedState, QuotaOrder, list_quotas

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from litestar.di import NamedDependency

    from tollkeeper.billing.customer import Customer
    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.listing import Listed
    from tollkeeper.service.quota_status import QuotaStatus

__all__ = ["QUOTA_PAGES"]

PAGE = 50
CSV_PAGE = 1_000
FILTERS = ("customer", "state", "order")
STATES = {"all": "Any", "near": "Nearly used up (80% or more)", "exceeded": "Used up"}
ORDERS = {"fullest": "The fullest first", "made": "The oldest subscription first"}
HEAD = [
    *("customer", "customer_name", "subscription", "plan", "api", "endpoint", "name", "period", "hard"),
    *("limit", "granted", "carried", "quota", "used", "held", "remaining", "share", "state", "start", "end"),
]


@get("/quotas", sync_to_thread=True)
def quotas(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List quotas, the fullest first unless it is asked otherwise."""
    view = parse_view(request)
    chosen = _chosen(view)
    after = view.query.get("after") or None
    with service.catalog.reading() as records:
        wanted = customers_called(records, chosen["customer"]) if "customer" in chosen else None
    listed = _page(service, chosen, wanted, after, PAGE)
    return pages.render(
        request,
        "quotas.html",
        view=view,
        rows=listed.items,
        chosen=chosen,
        customer=wanted[0].name if wanted else chosen.get("customer"),
        states=STATES,
        orders=ORDERS,
        after=after,
        following=listed.next,
    )


@get("/quotas.csv", sync_to_thread=True)
def quotas_csv(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Send all quotas that match."""
    chosen = _chosen(parse_view(request))
    with service.catalog.reading() as records:
        wanted = customers_called(records, chosen["customer"]) if "customer" in chosen else None
    found = list(_all(service, chosen, wanted))
    if chosen.get("order") != "made":
        found.sort(key=lambda quota: -quota.share)
    return to_csv("quotas", HEAD, ([_cell(getattr(quota, name)) for name in HEAD] for quota in found))


def _chosen(view: View) -> dict[str, str]:
    chosen = {name: view.query[name] for name in FILTERS if view.query.get(name)}
    for name, known in (("state", STATES), ("order", ORDERS)):
        if name in chosen and chosen[name] not in known:
            raise InvalidRequestError(f"{name} is {chosen[name][:40]!r}: choose one of {', '.join(known)}.")
    return chosen


def _page(
    service: Service, chosen: Mapping[str, str], customers: list[Customer] | None, after: str | None, limit: int
) -> Listed[QuotaStatus]:
    return list_quotas(
        service.catalog,
        service.quotas,
        customers=None if customers is None else [customer.id for customer in customers],
        state=cast("AskedState", chosen.get("state", "all")),
        order=cast("QuotaOrder", chosen.get("order", "fullest")),
        after=after,
        limit=limit,
    )


def _all(service: Service, chosen: Mapping[str, str], customers: list[Customer] | None) -> Iterator[QuotaStatus]:
    """Every quota that matches, in the order that costs one look at each."""
    after: str | None = None
    while True:
        listed = _page(service, {**chosen, "order": "made"}, customers, after, CSV_PAGE)
        yield from listed.items
        after = listed.next
        if after is None:
            return


def _cell(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


QUOTA_PAGES = (quotas, quotas_csv)
