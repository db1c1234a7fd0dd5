"""The page of one customer, also when something that was asked for on it could not be done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.failure import ApiError
from tollkeeper.billing.limit import QuotaGrant
from tollkeeper.billing.subscription import Subscription
from tollkeeper.dashboard.billing import Billing, load_billing
from tollkeeper.dashboard.charts import latency_chart, request_chart
from tollkeeper.dashboard.errors import status_of
from tollkeeper.dashboard.series import add_up, to_buckets
from tollkeeper.dashboard.tables import COLUMNS
from tollkeeper.dashboard.view import parse_view
from tollkeeper.errors import ConflictError, InvalidRequestError, TollkeeperError
from tollkeeper.service.api_errors import list_errors
from tollkeeper.service.audit import editing
from tollkeeper.service.figures import figure
from tollkeeper.service.key_usage import routes_by_keys, usage_by_keys
from tollkeeper.service.listing import find_record
from tollkeeper.service.quota_status import QuotaStatus, quotas_of
from tollkeeper.service.subscription_views import SubscriptionView, show_subscriptions
from tollkeeper.service.views import KeyView, show_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar import Request, Response

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.dashboard.view import View
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import QuotaBook, Records

__all__ = ["change_customer", "customer_view", "show_customer"]

T = TypeVar("T")
ERRORS = 10
ROUTES = 10
OVERLAPS = {"86400": "a day", "0": "no time", "3600": "an hour", "604800": "a week", "2592000": "30 days"}


class Account(Struct, frozen=True, kw_only=True):
    """What the catalogue has of a customer; keys and subscriptions newest first, errors the newest.

    ``quotas``, ``rates`` and ``grants``, those of periods that go on or are to come, are by the id of the subscription.
    """

    customer: Customer
    keys: list[ApiKey]
    shown_keys: list[KeyView]
    subscriptions: list[SubscriptionView]
    quotas: dict[str, list[QuotaStatus]]
    rates: dict[str, list[str]]
    grants: dict[str, list[QuotaGrant]]
    errors: list[ApiError]
    billing: Billing


def customer_view(request: Request[Any, Any, Any], customer_id: str) -> View:
    """The view of a customer's page, which is about all of the customer's keys, not about one consumer."""
    view = parse_view(request, hourly=True)
    return replace(view, path=f"/customers/{customer_id}", filters=replace(view.filters, consumer=None))


def show_customer(
    request: Request[Any, Any, Any],
    pages: Pages,
    service: Service,
    customer_id: str,
    *,
    problem: TollkeeperError | None = None,
) -> Response[bytes]:
    """Render the page; ``problem`` is why something could not be done. Raises NotFoundError."""
    view = customer_view(request, customer_id)
    with service.catalog.reading() as records, service.quotas.reading() as book:
        account = _account(records, book, customer_id)
    span = view.range
    used = usage_by_keys(service.events, account.keys, span.period, step=span.step, filters=view.filters)
    routes = routes_by_keys(service.events, account.keys, span.period, filters=view.filters)
    buckets = to_buckets(span, used.rows)
    return pages.render(
        request,
        "customer.html",
        status=status_of(problem) if problem else 200,
        view=view,
        account=account,
        customer=account.customer,
        requests=used.requests,
        totals=add_up(bucket.totals for bucket in buckets),
        charts=[chart(view, buckets) for chart in (request_chart, latency_chart)] if account.keys else [],
        routes=routes[:ROUTES],
        columns=COLUMNS,
        figure=figure,
        overlaps=OVERLAPS,
        now=datetime.now(UTC),
        problem=problem,
    )


def change_customer(
    request: Request[Any, Any, Any],
    pages: Pages,
    service: Service,
    customer_id: str,
    *,
    verb: Callable[[Edit], T],
    done: Callable[[T], Response[Any]],
) -> Response[Any]:
    """Run a verb in the name of who is logged in, then answer ``done``; what is refused is said on the page."""
    try:
        with editing(service.catalog, request.state["token"].name) as edit:
            made = verb(edit)
    except (ConflictError, InvalidRequestError) as error:
        return show_customer(request, pages, service, customer_id, problem=error)
    return done(made)


def _account(records: Records, book: QuotaBook, customer_id: str) -> Account:
    now = datetime.now(UTC)
    customer = find_record(records, Customer, customer_id)
    keys = records.find(ApiKey, customer=customer.id)[::-1]
    prints = [key.fingerprint for key in keys]
    subscriptions = records.find(Subscription, customer=customer.id)
    found, rates = quotas_of(records, book, subscriptions, now)
    quotas: dict[str, list[QuotaStatus]] = {}
    for quota in sorted(found, key=lambda quota: -quota.share):
        quotas.setdefault(quota.subscription, []).append(quota)
    return Account(
        customer=customer,
        keys=keys,
        shown_keys=[show_key(key, now) for key in keys],
        subscriptions=show_subscriptions(records, subscriptions, now)[::-1],
        quotas=quotas,
        rates=rates,
        grants=_grants(records, found),
        errors=list_errors(records, limit=ERRORS, consumer=prints).items,
        billing=load_billing(records, customer.id, now),
    )


def _grants(records: Records, quotas: Sequence[QuotaStatus]) -> dict[str, list[QuotaGrant]]:
    starts = {(quota.subscription, quota.name): quota.start for quota in quotas}
    grants: dict[str, list[QuotaGrant]] = {}
    for grant in records.find(QuotaGrant, subscription=sorted({quota.subscription for quota in quotas})):
        start = starts.get((grant.subscription, grant.limit))
        if start is not None and start <= grant.at:
            grants.setdefault(grant.subscription, []).append(grant)
    return grants
