"""``/v1/keys``: the keys of customers, whose secrets are shown once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.billing.customer import ApiKey
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.keys import NewKey
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.service.views import KeyView, show_key

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["KEY_HANDLERS"]

TAGS = ["Keys"]


class Rotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the old key stays good beside the new one, in seconds; a day when left out."""

    overlap: Annotated[int, Meta(ge=0, le=366 * 86_400)] = 86_400


@get("/v1/keys", sync_to_thread=True, summary="List keys", tags=TAGS)
def get_keys(
    *,
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    customer: Annotated[str | None, QueryParameter(description="Id of a customer.")] = None,
    fingerprint: Annotated[str | None, QueryParameter(description="What events know a key by.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[KeyView]]:
    """List keys without their secrets, oldest first."""
    with service.catalog.reading() as records:
        listed = list_records(records, ApiKey, after=after, limit=limit, customer=customer, fingerprint=fingerprint)
    now = datetime.now(UTC)
    return paged(request, Listed([show_key(key, now) for key in listed.items], listed.next))


@post("/v1/keys", sync_to_thread=True, opt=ADMIN, summary="Make a key", tags=TAGS)
def post_key(
    service: NamedDependency[Service], write: NamedDependency[Write], data: JSONBody[NewKey]
) -> Response[KeyView]:
    """Make a key for a customer, or register one that is brought along; the answer has its secret, no other has."""

    def make(edit: Edit) -> KeyView:
        key, secret = service.keys.create(edit, data)
        return show_key(key, edit.now, secret=secret)

    return write.create(make, data, "keys")


@get("/v1/keys/{key:str}", sync_to_thread=True, summary="Show a key", tags=TAGS)
def get_key(service: NamedDependency[Service], key: FromPath[str]) -> Response[KeyView]:
    """Show a key without its secret."""
    with service.catalog.reading() as records:
        return shown(show_key(find_record(records, ApiKey, key), datetime.now(UTC)))


@post("/v1/keys/{key:str}/rotate", sync_to_thread=True, opt=ADMIN, summary="Rotate a key", tags=TAGS)
def rotate_key(
    service: NamedDependency[Service], write: NamedDependency[Write], key: FromPath[str], data: JSONBody[Rotation]
) -> Response[KeyView]:
    """Make a key in the place of another, which stays good for a while; the answer has the new secret."""

    def rotate(edit: Edit) -> KeyView:
        made, secret = service.keys.rotate(edit, key, overlap=timedelta(seconds=data.overlap))
        return show_key(made, edit.now, secret=secret)

    return write.create(rotate, data, "keys")


@post("/v1/keys/{key:str}/revoke", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Revoke a key", tags=TAGS)
def revoke_key(
    service: NamedDependency[Service], write: NamedDependency[Write], key: FromPath[str]
) -> Response[KeyView]:
    """Take a key out of force now; again does nothing."""
    return write.change(
        lambda edit: service.keys.revoke(edit, key),
        lambda records: show_key(find_record(records, ApiKey, key), datetime.now(UTC)),
    )


KEY_HANDLERS = [get_keys, post_key, get_key, rotate_key, revoke_key]
