"""The keys of a customer: made and shown once, rotated, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, post
from litestar.response import Redirect

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.dashboard.customer_page import OVERLAPS, change_customer, customer_view
from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.keys import NewKey
from tollkeeper.service.listing import find_record
from tollkeeper.service.periods import parse_time

if TYPE_CHECKING:
    from litestar.di import NamedDependency
    from litestar.params import FromPath, URLEncodedBody

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.bootstrap import Service

__all__ = ["KEY_ACTIONS"]

WRITES = {"writes": True}


@post("/customers/{customer:str}/keys", opt=WRITES, sync_to_thread=True)
def create_key(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    customer: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
) -> Response[Any]:
    """Make a key and show it, this once; one that is brought along is known already, and is only listed."""
    brought, expires = str(data.get("key", "")).strip(), str(data.get("expires_at", ""))

    def create(edit: Edit) -> tuple[ApiKey, str]:
        expires_at = from_microseconds(parse_time("expires_at", expires)) if expires else None
        return service.keys.create(edit, NewKey(customer=customer, key=brought or None, expires_at=expires_at))

    def done(made: tuple[ApiKey, str]) -> Response[Any]:
        return _back(request, made[0]) if brought else _show_once(request, pages, service, made)

    return change_customer(request, pages, service, customer, verb=create, done=done)


@post("/keys/{key:str}/rotate", opt=WRITES, sync_to_thread=True)
def rotate_key(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    key: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
) -> Response[Any]:
    """Make a key in the place of another, which stays good for a while, and show it, this once."""
    overlap = str(data.get("overlap", ""))
    if overlap not in OVERLAPS:
        raise InvalidRequestError(f"overlap is {overlap[:40]!r}: choose one of {', '.join(OVERLAPS)}, in seconds.")
    return change_customer(
        request,
        pages,
        service,
        _owner(service, key),
        verb=lambda edit: service.keys.rotate(edit, key, overlap=timedelta(seconds=int(overlap))),
        done=lambda made: _show_once(request, pages, service, made),
    )


@post("/keys/{key:str}/revoke", opt=WRITES, sync_to_thread=True)
def revoke_key(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    key: FromPath[str],
) -> Response[Any]:
    """Take a key out of force now; again does nothing."""
    return change_customer(
        request,
        pages,
        service,
        _owner(service, key),
        verb=lambda edit: service.keys.revoke(edit, key),
        done=lambda revoked: _back(request, revoked),
    )


def _owner(service: Service, key_id: str) -> str:
    with service.catalog.reading() as records:
        return find_record(records, ApiKey, key_id).customer


def _back(request: Request[Any, Any, Any], key: ApiKey) -> Response[Any]:
    return Redirect(f"{customer_view(request, key.customer).url()}#keys", status_code=303)


def _show_once(
    request: Request[Any, Any, Any], pages: Pages, service: Service, made: tuple[ApiKey, str]
) -> Response[bytes]:
    key, secret = made
    with service.catalog.reading() as records:
        customer = find_record(records, Customer, key.customer)
    view = customer_view(request, customer.id)
    return pages.render(request, "key.html", status=201, view=view, customer=customer, key=key, secret=secret)


KEY_ACTIONS = (create_key, rotate_key, revoke_key)
