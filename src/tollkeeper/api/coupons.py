"""``/v1/customers/{customer}/coupons``: what comes off a customer's invoices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.customer import Customer
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.service.selling.belonging import find_of
from tollkeeper.service.selling.coupons import CouponView, NewCoupon, end_coupon, grant_coupon, show_coupon
from tollkeeper.store.selling import CustomerCoupon

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Records

__all__ = ["COUPON_HANDLERS"]

TAGS = ["Customers"]
ALL = "/v1/customers/{customer:str}/coupons"
ONE = f"{ALL}/{{coupon:str}}"


@get(ALL, sync_to_thread=True, summary="List coupons", tags=TAGS)
def get_coupons(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    customer: FromPath[str],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[CouponView]]:
    """List the coupons of a customer, also those that are used up or expired, in the order in which they serve."""
    now = datetime.now(UTC)
    with service.catalog.reading() as records:
        found = find_record(records, Customer, customer)
        listed = list_records(records, CustomerCoupon, after=after, limit=limit, customer=found.id)
    return paged(request, Listed([show_coupon(one, now) for one in listed.items], listed.next))


@post(ALL, sync_to_thread=True, opt=ADMIN, summary="Grant a coupon", tags=TAGS)
def post_coupon(
    write: NamedDependency[Write], customer: FromPath[str], data: JSONBody[NewCoupon]
) -> Response[CouponView]:
    """Grant a coupon."""
    return write.create(
        lambda edit: show_coupon(grant_coupon(edit, customer, data), edit.now), data, f"customers/{customer}/coupons"
    )


@get(ONE, sync_to_thread=True, summary="Show a coupon", tags=TAGS)
def get_coupon(
    service: NamedDependency[Service], customer: FromPath[str], coupon: FromPath[str]
) -> Response[CouponView]:
    """Show a coupon with what is left of it."""
    with service.catalog.reading() as records:
        return shown(_show(records, customer, coupon))


@delete(ONE, sync_to_thread=True, opt=ADMIN, summary="End a coupon", tags=TAGS)
def delete_coupon(write: NamedDependency[Write], customer: FromPath[str], coupon: FromPath[str]) -> Response[None]:
    """Let a coupon expire now; what it took off stays off."""
    return write.remove(
        lambda edit: end_coupon(edit, customer, coupon), lambda records: _show(records, customer, coupon)
    )


def _show(records: Records, customer: str, coupon: str) -> CouponView:
    return show_coupon(find_of(records, CustomerCoupon, customer, coupon), datetime.now(UTC))


COUPON_HANDLERS = [get_coupons, post_coupon, get_coupon, delete_coupon]
