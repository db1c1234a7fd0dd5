"""What can be done to a subscription from its customer's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, post
from litestar.response import Redirect

from tollkeeper.billing.subscription import Subscription
from tollkeeper.dashboard.customer_page import change_customer, customer_view
from tollkeeper.dashboard.forms import filled
from tollkeeper.service.grants import NewGrant, grant_units
from tollkeeper.service.listing import find_record
from tollkeeper.service.subscription_life import cancel, set_paused

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.di import NamedDependency
    from litestar.params import FromPath, URLEncodedBody

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.bootstrap import Service

__all__ = ["SUBSCRIPTION_ACTIONS"]

WRITES = {"writes": True}


@post("/subscriptions/{subscription:str}/pause", opt=WRITES, sync_to_thread=True)
def pause_subscription(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    subscription: FromPath[str],
) -> Response[Any]:
    """Serve nothing until it is resumed."""
    return _change(request, pages, service, subscription, lambda edit: set_paused(edit, subscription, paused=True))


@post("/subscriptions/{subscription:str}/resume", opt=WRITES, sync_to_thread=True)
def resume_subscription(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    subscription: FromPath[str],
) -> Response[Any]:
    """Serve again after a pause."""
    return _change(request, pages, service, subscription, lambda edit: set_paused(edit, subscription, paused=False))


@post("/subscriptions/{subscription:str}/cancel", opt=WRITES, sync_to_thread=True)
def cancel_subscription(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    subscription: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
) -> Response[Any]:
    """End it with its period, which is served until then, or, when ``end`` is ``now``, at once."""
    at_once = data.get("end") == "now"
    return _change(request, pages, service, subscription, lambda edit: cancel(edit, subscription, at_once=at_once))


@post("/subscriptions/{subscription:str}/grants", opt=WRITES, sync_to_thread=True)
def add_grant(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    subscription: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
) -> Response[Any]:
    """Add units to a limit in the period of now."""
    return _change(
        request,
        pages,
        service,
        subscription,
        lambda edit: grant_units(edit, subscription, filled(NewGrant, data, "limit", "units", "note")),
    )


def _change(
    request: Request[Any, Any, Any],
    pages: Pages,
    service: Service,
    subscription_id: str,
    verb: Callable[[Edit], Any],
) -> Response[Any]:
    with service.catalog.reading() as records:
        owner = find_record(records, Subscription, subscription_id).customer
    address = f"{customer_view(request, owner).url()}#subscriptions"
    return change_customer(request, pages, service, owner, verb=verb, done=lambda _: Redirect(address, status_code=303))


SUBSCRIPTION_ACTIONS = (pause_subscription, resume_subscription, cancel_subscription, add_grant)
