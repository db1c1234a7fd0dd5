"""``/v1/customers/{customer}/billing`` and ``/items``: what a customer's invoices know, and their one-off lines."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.customer import Customer
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.service.selling.belonging import find_of
from tollkeeper.service.selling.items import ItemView, NewItem, add_item, remove_item, show_item
from tollkeeper.service.selling.profiles import ProfilePatch, ProfileView, show_profile, update_profile
from tollkeeper.store.selling import InvoiceItem

__all__ = ["CUSTOMER_BILLING_HANDLERS"]

TAGS = ["Customers"]
PROFILE = "/v1/customers/{customer:str}/billing"
ITEMS = "/v1/customers/{customer:str}/items"
ITEM = f"{ITEMS}/{{item:str}}"


@get(PROFILE, sync_to_thread=True, summary="Show the billing profile", tags=TAGS)
def get_profile(service: NamedDependency[Service], customer: FromPath[str]) -> Response[ProfileView]:
    """Show what the customer's invoices need to know; it has defaults until somebody says otherwise."""
    with service.catalog.reading() as records:
        return shown(show_profile(records, customer))


@patch(PROFILE, sync_to_thread=True, opt=ADMIN, summary="Change the billing profile", tags=TAGS)
def patch_profile(
    write: NamedDependency[Write], customer: FromPath[str], data: JSONBody[ProfilePatch]
) -> Response[ProfileView]:
    """Change what is named; null takes a value away, and taxes take the place of all that there are."""
    return write.change(
        lambda edit: update_profile(edit, customer, data), lambda records: show_profile(records, customer), data
    )


@get(ITEMS, sync_to_thread=True, summary="List one-off items", tags=TAGS)
def get_items(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    customer: FromPath[str],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[ItemView]]:
    """List the one-off items of a customer, oldest first, those that are invoiced with their invoice."""
    with service.catalog.reading() as records:
        found = find_record(records, Customer, customer)
        listed = list_records(records, InvoiceItem, after=after, limit=limit, customer=found.id)
    return paged(request, Listed([show_item(one) for one in listed.items], listed.next))


@post(ITEMS, sync_to_thread=True, opt=ADMIN, summary="Add a one-off item", tags=TAGS)
def post_item(write: NamedDependency[Write], customer: FromPath[str], data: JSONBody[NewItem]) -> Response[ItemView]:
    """Put a line onto the next invoice; one below zero takes off."""
    return write.create(lambda edit: show_item(add_item(edit, customer, data)), data, f"customers/{customer}/items")


@get(ITEM, sync_to_thread=True, summary="Show a one-off item", tags=TAGS)
def get_item(service: NamedDependency[Service], customer: FromPath[str], item: FromPath[str]) -> Response[ItemView]:
    """Show a one-off item."""
    with service.catalog.reading() as records:
        return shown(show_item(find_of(records, InvoiceItem, customer, item)))


@delete(ITEM, sync_to_thread=True, opt=ADMIN, summary="Take a one-off item back", tags=TAGS)
def delete_item(write: NamedDependency[Write], customer: FromPath[str], item: FromPath[str]) -> Response[None]:
    """Take a line back that is not invoiced yet."""
    return write.remove(
        lambda edit: remove_item(edit, customer, item),
        lambda records: show_item(find_of(records, InvoiceItem, customer, item)),
    )


CUSTOMER_BILLING_HANDLERS = [get_profile, patch_profile, get_items, post_item, get_item, delete_item]
