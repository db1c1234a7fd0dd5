"""``/v1/customers``: who is billed."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.customer import Customer
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.customers import CustomerPatch, NewCustomer, create_customer, update_customer
from tollkeeper.service.listing import Listed, find_record, list_records

__all__ = ["CUSTOMER_HANDLERS"]

TAGS = ["Customers"]


@get("/v1/customers", sync_to_thread=True, summary="List customers", tags=TAGS)
def get_customers(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    external_id: Annotated[str | None, QueryParameter(description="What another system calls the customer.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[Customer]]:
    """List customers, oldest first."""
    with service.catalog.reading() as records:
        return paged(request, list_records(records, Customer, after=after, limit=limit, external_id=external_id))


@post("/v1/customers", sync_to_thread=True, opt=ADMIN, summary="Make a customer", tags=TAGS)
def post_customer(write: NamedDependency[Write], data: JSONBody[NewCustomer]) -> Response[Customer]:
    """Make a customer."""
    return write.create(lambda edit: create_customer(edit, data), data, "customers")


@get("/v1/customers/{customer:str}", sync_to_thread=True, summary="Show a customer", tags=TAGS)
def get_customer(service: NamedDependency[Service], customer: FromPath[str]) -> Response[Customer]:
    """Show a customer."""
    with service.catalog.reading() as records:
        return shown(find_record(records, Customer, customer))


@patch("/v1/customers/{customer:str}", sync_to_thread=True, opt=ADMIN, summary="Change a customer", tags=TAGS)
def patch_customer(
    write: NamedDependency[Write], customer: FromPath[str], data: JSONBody[CustomerPatch]
) -> Response[Customer]:
    """Change what is named; null takes a value away."""
    return write.change(
        lambda edit: update_customer(edit, customer, data),
        lambda records: find_record(records, Customer, customer),
        data,
    )


CUSTOMER_HANDLERS = [get_customers, post_customer, get_customer, patch_customer]
