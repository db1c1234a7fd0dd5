"""A catalogue with something of everything, for pages that show it."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from tollkeeper.billing.failure import ApiError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, Request, Response, UsageEvent
from tollkeeper.events.ids import id_from_hash, record_id
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import CustomerPatch, NewCustomer, create_customer, update_customer
from tollkeeper.service.keys import NewKey
from tollkeeper.service.limits import NewLimit
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.routes import NewPrice, NewRoute, create_price, create_route, set_retired
from tollkeeper.service.subscription_life import cancel, change_plan, set_paused
from tollkeeper.service.subscriptions import NewSubscription, subscribe

if TYPE_CHECKING:
    from tollkeeper.service.bootstrap import Service

__all__ = ["EVIL", "Shop", "call", "open_shop"]

EVIL = "<script>alert(1)</script>\"'"
DAY = timedelta(days=1)


class Shop(NamedTuple):
    """The ids of what was made."""

    api: str
    route: str
    default_route: str
    customer: str
    evil: str
    key: str
    fingerprint: str
    revoked: str
    subscription: str
    paused: str


def open_shop(service: Service) -> Shop:
    """Sell two APIs to two customers, and let the first call them."""
    now = datetime.now(UTC)
    with editing(service.catalog, "ann") as edit:
        orders, other = create_api(edit, NewApi(name="orders")), create_api(edit, NewApi(name=EVIL))
        create_version(edit, orders.id, NewApi(name="v1"))
        create_version(edit, other.id, NewApi(name=EVIL))
        default = create_route(edit, NewRoute(api="orders", version="v1", price=Decimal("0.010"), currency="EUR"))
        route = create_route(edit, NewRoute(api="orders", version="v1", endpoint="/orders/{id}", method="GET"))
        for amount, start in (("0.002", now - 90 * DAY), ("0.003", now - 9 * DAY), ("0.0045", now + 30 * DAY)):
            create_price(edit, route.id, NewPrice(price=Decimal(amount), currency="EUR", valid_from=start))
        hostile = create_route(edit, NewRoute(api=other.id, version=EVIL, endpoint=EVIL))
        set_retired(edit, hostile.id, retired=True)
        create_plan(edit, NewPlan(name="gold", kind="discount_percent", amount=Decimal(10), trial_days=14))
        create_plan(edit, NewPlan(name="basic"))
        create_plan(edit, NewPlan(name=EVIL))
        acme = create_customer(edit, NewCustomer(name="Acme Ltd", external_id="acme", email="dev@acme.example"))
        evil = create_customer(
            edit, NewCustomer(name=EVIL, external_id=EVIL, email=f"{EVIL.replace(' ', '')}@x", address=EVIL)
        )
        key, _ = service.keys.create(edit, NewKey(customer=acme.id))
        old, _ = service.keys.create(edit, NewKey(customer=acme.id, expires_at=now + 30 * DAY))
        service.keys.create(edit, NewKey(customer=evil.id, key=f"{EVIL.replace(' ', '')}0000"))
        first = subscribe(
            edit,
            NewSubscription(
                customer=acme.id,
                plan="gold",
                api="orders",
                started_at=now - 3 * DAY,
                has_quota_limits=True,
                limits=[NewLimit(limit=100_000), NewLimit(limit=10, period="minute", endpoint="/orders/{id}")],
                overrides={"discount": {"percent": "15"}, "note": EVIL},
            ),
        )
        second = subscribe(edit, NewSubscription(customer=acme.id, plan="basic", started_at=now - 40 * DAY))
        third = subscribe(edit, NewSubscription(customer=acme.id, plan="basic", api=other.id, version=EVIL))
        subscribe(edit, NewSubscription(customer=evil.id, plan=EVIL, api=other.id))
        for place, consumer in enumerate([key.fingerprint, evil.id]):
            edit.add(_error(now - place * timedelta(hours=1), consumer))
    with editing(service.catalog, "bob") as edit:
        update_customer(edit, acme.id, CustomerPatch(name="Acme", currency="EUR", address="1 Road\nTown"))
        service.keys.revoke(edit, old.id)
        set_paused(edit, second.id, paused=True)
        cancel(edit, third.id, at_once=True)
        change_plan(edit, first.id, "basic")
    return Shop(
        api=orders.id,
        route=route.id,
        default_route=default.id,
        customer=acme.id,
        evil=evil.id,
        key=key.id,
        fingerprint=key.fingerprint,
        revoked=old.id,
        subscription=first.id,
        paused=second.id,
    )


def call(service: Service, consumer: str, count: int, *, spread: timedelta = timedelta(hours=1), **names: str) -> None:
    """Store calls of ``GET /orders/{id}`` by a key, spread over the time before now; ``names`` are others."""
    chance, now = random.Random(f"{consumer}{names}"), datetime.now(UTC)
    values: dict[str, Any] = {
        "method": "GET",
        "path": "/orders/7",
        "route": "/orders/{id}",
        "api": "orders",
        "api_version": "v1",
    }
    events = []
    for index in range(count):
        digest = hashlib.sha256(f"{consumer}/{names}/{index}".encode()).digest()
        event = UsageEvent(
            id=id_from_hash(index, digest),
            source="shop",
            time=now - spread * (index / count),
            status_code=503 if index % 10 == 9 else 200,
            consumer=Consumer(key=consumer),
            request=Request(elapsed_time=0.04 * chance.lognormvariate(0, 0.4)),
            response=Response(content_length=900),
            **{**values, **names},
        )
        events.append(event)
    service.events.append([("shop", DecodedBatch(count, events, []))])


def _error(at: datetime, consumer: str) -> ApiError:
    return ApiError(
        id=record_id("err"),
        code="E42",
        description=f"No stock of {EVIL}",
        consumer=consumer,
        api="orders",
        endpoint="/orders/{id}",
        status_code=422,
        at=at,
        created_at=at,
    )
