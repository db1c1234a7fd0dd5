"""``/v1/subscriptions``: who may use what, under which plan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.subscription import Subscription
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.fields import Name
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.service.subscription_life import (
    SubscriptionPatch,
    cancel,
    change_plan,
    set_paused,
    update_subscription,
)
from tollkeeper.service.subscription_views import SubscriptionView, show_subscriptions
from tollkeeper.service.subscriptions import NewSubscription, subscribe

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.store.protocols import Records

__all__ = ["SUBSCRIPTION_HANDLERS"]

TAGS = ["Subscriptions"]
ONE = "/v1/subscriptions/{subscription:str}"


class Cancellation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a subscription ends: with its period, or ``at_once``."""

    at_once: bool = False


class NewPlanName(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plan, by id or name, that a subscription is to have from its next period on, or ``at_once``."""

    plan: Name
    at_once: bool = False


@get("/v1/subscriptions", sync_to_thread=True, summary="List subscriptions", tags=TAGS)
def get_subscriptions(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    customer: Annotated[str | None, QueryParameter(description="Id of a customer.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[SubscriptionView]]:
    """List subscriptions, those that ended too, oldest first."""
    with service.catalog.reading() as records:
        listed = list_records(records, Subscription, after=after, limit=limit, customer=customer)
        return paged(request, Listed(show_subscriptions(records, listed.items, datetime.now(UTC)), listed.next))


@post("/v1/subscriptions", sync_to_thread=True, opt=ADMIN, summary="Subscribe a customer", tags=TAGS)
def post_subscription(write: NamedDependency[Write], data: JSONBody[NewSubscription]) -> Response[SubscriptionView]:
    """Begin a subscription."""
    return write.create(lambda edit: _show(edit.records, subscribe(edit, data).id, edit.now), data, "subscriptions")


@get(ONE, sync_to_thread=True, summary="Show a subscription", tags=TAGS)
def get_subscription(service: NamedDependency[Service], subscription: FromPath[str]) -> Response[SubscriptionView]:
    """Show a subscription as it is now."""
    with service.catalog.reading() as records:
        return shown(_show(records, subscription, datetime.now(UTC)))


@patch(ONE, sync_to_thread=True, opt=ADMIN, summary="Change a subscription", tags=TAGS)
def patch_subscription(
    write: NamedDependency[Write],
    subscription: FromPath[str],
    data: JSONBody[SubscriptionPatch],
) -> Response[SubscriptionView]:
    """Change limits and overrides; limits take the place of all that there are."""
    return write.change(lambda edit: update_subscription(edit, subscription, data), _shower(subscription), data)


@post(f"{ONE}/pause", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Pause a subscription", tags=TAGS)
def pause_subscription(write: NamedDependency[Write], subscription: FromPath[str]) -> Response[SubscriptionView]:
    """Serve nothing until it is resumed."""
    return write.change(lambda edit: set_paused(edit, subscription, paused=True), _shower(subscription))


@post(f"{ONE}/resume", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Resume a subscription", tags=TAGS)
def resume_subscription(write: NamedDependency[Write], subscription: FromPath[str]) -> Response[SubscriptionView]:
    """Serve again after a pause."""
    return write.change(lambda edit: set_paused(edit, subscription, paused=False), _shower(subscription))


@post(f"{ONE}/cancel", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Cancel a subscription", tags=TAGS)
def cancel_subscription(
    write: NamedDependency[Write],
    subscription: FromPath[str],
    data: JSONBody[Cancellation],
) -> Response[SubscriptionView]:
    """End it with its period, which is served until then, or at once."""
    return write.change(lambda edit: cancel(edit, subscription, at_once=data.at_once), _shower(subscription), data)


@post(f"{ONE}/plan", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Change the plan", tags=TAGS)
def post_plan_change(
    write: NamedDependency[Write],
    subscription: FromPath[str],
    data: JSONBody[NewPlanName],
) -> Response[SubscriptionView]:
    """Have another plan from the next period on, or at once; naming the plan in force undoes what was to come.

    At once, both plans are charged for their parts of the period.
    """
    return write.change(
        lambda edit: change_plan(edit, subscription, data.plan, at_once=data.at_once), _shower(subscription), data
    )


def _shower(subscription: str) -> Callable[[Records], SubscriptionView]:
    return lambda records: _show(records, subscription, datetime.now(UTC))


def _show(records: Records, subscription: str, now: datetime) -> SubscriptionView:
    return show_subscriptions(records, [find_record(records, Subscription, subscription)], now)[0]


SUBSCRIPTION_HANDLERS = [
    get_subscriptions,
    post_subscription,
    get_subscription,
    patch_subscription,
    pause_subscription,
    resume_subscription,
    cancel_subscription,
    post_plan_change,
]
