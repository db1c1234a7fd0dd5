"""``/v1/subscriptions/{subscription}/grants``: units that are added to one period of a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.limit import QuotaGrant
from tollkeeper.billing.subscription import Subscription
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.grants import GrantView, NewGrant, find_grant, grant_units, show_grants
from tollkeeper.service.listing import Listed, find_record, list_records

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import Records

__all__ = ["GRANT_HANDLERS"]

TAGS = ["Subscriptions"]
ALL = "/v1/subscriptions/{subscription:str}/grants"
ONE = f"{ALL}/{{grant:str}}"


@get(ALL, sync_to_thread=True, summary="List grants", tags=TAGS)
def get_grants(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    subscription: FromPath[str],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[GrantView]]:
    """List the grants of a subscription, oldest first."""
    with service.catalog.reading() as records:
        found = find_record(records, Subscription, subscription)
        listed = list_records(records, QuotaGrant, after=after, limit=limit, subscription=found.id)
        return paged(request, Listed(show_grants(records, listed.items), listed.next))


@post(ALL, sync_to_thread=True, opt=ADMIN, summary="Grant units", tags=TAGS)
def post_grant(
    write: NamedDependency[Write], subscription: FromPath[str], data: JSONBody[NewGrant]
) -> Response[GrantView]:
    """Add units to a limit in one period: that of now, or of another time."""

    def make(edit: Edit) -> GrantView:
        return show_grants(edit.records, [grant_units(edit, subscription, data)])[0]

    return write.create(make, data, f"subscriptions/{subscription}/grants")


@get(ONE, sync_to_thread=True, summary="Show a grant", tags=TAGS)
def get_grant(
    service: NamedDependency[Service], subscription: FromPath[str], grant: FromPath[str]
) -> Response[GrantView]:
    """Show a grant with the period that it adds to."""
    with service.catalog.reading() as records:
        return shown(_show(records, subscription, grant))


@delete(ONE, sync_to_thread=True, opt=ADMIN, summary="Take a grant back", tags=TAGS)
def delete_grant(write: NamedDependency[Write], subscription: FromPath[str], grant: FromPath[str]) -> Response[None]:
    """Take a grant back; what was used of it stays used."""
    return write.remove(
        lambda edit: edit.remove(find_grant(edit.records, subscription, grant)),
        lambda records: _show(records, subscription, grant),
    )


def _show(records: Records, subscription: str, grant: str) -> GrantView:
    return show_grants(records, [find_grant(records, subscription, grant)])[0]


GRANT_HANDLERS = [get_grants, post_grant, get_grant, delete_grant]
