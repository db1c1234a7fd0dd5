"""Customers: who they are, what they use, their keys and their subscriptions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get
from msgspec import Struct

from tollkeeper.billing.customer import ApiKey, Customer, key_state_at
from tollkeeper.billing.subscription import Subscription
from tollkeeper.dashboard.customer_page import show_customer
from tollkeeper.dashboard.tables import to_csv
from tollkeeper.dashboard.view import parse_view
from tollkeeper.service.customer_search import search_customers
from tollkeeper.service.quota_status import QuotaStatus, quotas_of
from tollkeeper.service.subscription_views import SubscriptionView, show_subscriptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from litestar.di import NamedDependency
    from litestar.params import FromPath

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import QuotaBook, Records

__all__ = ["CUSTOMER_PAGES"]

PAGE = 50
CSV_PAGE = 1_000
HEAD = ["id", "name", "external_id", "email", "currency", "time_zone", "active_keys", "subscriptions", "created_at"]


class Row(Struct, frozen=True, kw_only=True):
    """A customer in the list: the number of keys in force, subscriptions that have not ended, the fullest quota."""

    customer: Customer
    keys: int
    subscriptions: list[SubscriptionView]
    fullest: QuotaStatus | None


@get("/customers", sync_to_thread=True)
def customers(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List customers, or those that match what somebody looks for."""
    view = parse_view(request)
    text, after = view.query.get("q", ""), view.query.get("after") or None
    with service.catalog.reading() as records, service.quotas.reading() as book:
        listed = search_customers(records, text, after=after, limit=PAGE)
        rows = _rows(records, book, listed.items)
    return pages.render(request, "customers.html", view=view, rows=rows, text=text, after=after, following=listed.next)


@get("/customers/{customer:str}", sync_to_thread=True)
def one_customer(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    customer: FromPath[str],
) -> Response[bytes]:
    """Show a customer with usage, subscriptions, keys and errors."""
    return show_customer(request, pages, service, customer)


@get("/customers.csv", sync_to_thread=True)
def customers_csv(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Send all customers that match, with their subscriptions as ``api: plan (state)``."""
    text = parse_view(request).query.get("q", "")
    return to_csv("customers", HEAD, _csv_rows(service, text))


def _csv_rows(service: Service, text: str) -> Iterator[list[Any]]:
    after: str | None = None
    while True:
        with service.catalog.reading() as records, service.quotas.reading() as book:
            listed = search_customers(records, text, after=after, limit=CSV_PAGE)
            rows = _rows(records, book, listed.items)
        for row in rows:
            one = row.customer
            subscribed = "; ".join(f"{sub.api or 'every API'}: {sub.plan} ({sub.state})" for sub in row.subscriptions)
            known = [one.id, one.name, one.external_id, one.email, one.currency, one.time_zone]
            yield [*known, row.keys, subscribed, one.created_at.isoformat()]
        after = listed.next
        if after is None:
            return


def _rows(records: Records, book: QuotaBook, found: Sequence[Customer]) -> list[Row]:
    """What the list shows of some customers, read at one go."""
    now = datetime.now(UTC)
    ids = [customer.id for customer in found]
    good = [key.customer for key in records.find(ApiKey, customer=ids) if key_state_at(key, now) == "active"]
    subscribed = records.find(Subscription, customer=ids)
    current: dict[str, list[SubscriptionView]] = {}
    for subscription in show_subscriptions(records, subscribed, now):
        if subscription.state != "ended":
            current.setdefault(subscription.customer, []).append(subscription)
    counts = {customer: good.count(customer) for customer in set(good)}
    quotas = sorted(quotas_of(records, book, subscribed, now)[0], key=lambda quota: quota.share)
    fullest = {quota.customer: quota for quota in quotas}
    return [
        Row(
            customer=customer,
            keys=counts.get(customer.id, 0),
            subscriptions=current.get(customer.id, []),
            fullest=fullest.get(customer.id),
        )
        for customer in found
    ]


CUSTOMER_PAGES = (customers, one_customer, customers_csv)
