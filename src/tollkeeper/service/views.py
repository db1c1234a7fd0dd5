"""Routes and keys as they are shown: with names for ids, what holds now, and nothing that is secret."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.customer import ApiKey, KeyState, key_state_at
from tollkeeper.billing.price import price_at
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.store.protocols import Records

__all__ = ["KeyView", "RouteView", "show_key", "show_routes"]


class KeyView(Struct, frozen=True, kw_only=True):
    """A key without its secret, which ``secret`` holds once: in the answer to the request that made it."""

    id: str
    customer: str
    prefix: str
    fingerprint: str
    state: KeyState
    expires_at: datetime | None
    revoked_at: datetime | None
    replaced_by: str | None
    created_at: datetime
    secret: str | None = None


class RouteView(Struct, frozen=True, kw_only=True):
    """A route by the names of its API and version, with the price per call in force; null where there is none."""

    id: str
    api: str
    version: str
    endpoint: str | None
    method: str | None
    price: Decimal | None
    currency: str | None
    retired_at: datetime | None
    created_at: datetime


def show_key(key: ApiKey, now: datetime, *, secret: str | None = None) -> KeyView:
    """A key as it is shown."""
    return KeyView(
        id=key.id,
        customer=key.customer,
        prefix=key.prefix,
        fingerprint=key.fingerprint,
        state=key_state_at(key, now),
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        replaced_by=key.replaced_by,
        created_at=key.created_at,
        secret=secret,
    )


def show_routes(records: Records, routes: Sequence[ApiRoute], now: datetime) -> list[RouteView]:
    """Routes as they are shown, in the same order."""
    versions = {one.id: one for one in records.find(ApiVersion, id=[route.version for route in routes])}
    apis = {api.id: api for api in records.find(Api, id=[version.api for version in versions.values()])}
    prices = records.find(RoutePrice, route=[route.id for route in routes])
    views = []
    for route in routes:
        version = versions[route.version]
        price = price_at((price for price in prices if price.route == route.id), now)
        views.append(
            RouteView(
                id=route.id,
                api=apis[version.api].name,
                version=version.name,
                endpoint=route.endpoint,
                method=route.method,
                price=price.price if price else None,
                currency=price.currency if price else None,
                retired_at=route.retired_at,
                created_at=route.created_at,
            )
        )
    return views
