"""Whose captured events are, by the catalogue of each engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from tollkeeper.billing.resolve import Call, Resolution
from tollkeeper.capture.identify import default_consumer
from tollkeeper.events.codec import decode_batch
from tollkeeper.metering.usage import Filters
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.keys import NewKey
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.registration import ApiRouteRegistration, register_api_route
from tollkeeper.service.resolution import load_resolver
from tollkeeper.service.subscriptions import NewSubscription, subscribe

if TYPE_CHECKING:
    from tollkeeper.service.bootstrap import Service

SECRET = "the-secret-key-of-acme"
ROUTES = 20


def test_a_key_and_a_route_that_are_registered_later_resolve_earlier_events(service: Service) -> None:
    consumer = default_consumer(SECRET, None)
    assert consumer is not None
    sent = {
        "time": "2026-05-04T10:00:00Z",
        "method": "GET",
        "path": "/orders/1",
        "route": "/orders/{id}",
        "status_code": 200,
        "api": "orders",
        "api_version": "v1",
        "consumer": {"key": consumer.key},
    }
    service.events.append([("shop", decode_batch(msgspec.json.encode(sent), source="shop"))])
    (stored,) = service.events.page(Filters(), before=None, after=None, limit=10)
    event = stored.event
    assert event.consumer is not None
    assert SECRET not in str(event)
    call = Call(
        consumer=event.consumer.key,
        api=event.api,
        api_version=event.api_version,
        endpoint=event.route,
        method=event.method,
    )
    before = load_resolver(service.catalog, [event.consumer.key]).resolve(call, event.time_us)

    with editing(service.catalog, "test") as edit:
        customer = create_customer(edit, NewCustomer(name="Acme"))
        service.keys.create(edit, NewKey(customer=customer.id, key=SECRET))
        create_plan(edit, NewPlan(name="gold"))
        asked = {"apiName": "orders", "apiVersion": "v1", "pricePerCall": "0.5", "currency": "EUR"}
        route = register_api_route(edit, msgspec.convert(asked, ApiRouteRegistration))
    after = load_resolver(service.catalog, [event.consumer.key]).resolve(call, event.time_us)

    assert before == Resolution()
    assert (after.customer, after.route) == (customer, route)
    assert after.price is not None
    assert (str(after.price.price), after.subscription) == ("0.5", None)
    (kept,) = service.events.page(Filters(), before=None, after=None, limit=10)
    assert kept == stored

    with editing(service.catalog, "test") as edit:
        subscribe(edit, NewSubscription(customer=customer.id, plan="gold", started_at=event.time))
    subscribed = load_resolver(service.catalog, [event.consumer.key]).resolve(call, event.time_us)
    assert (subscribed.state, subscribed.plan and subscribed.plan.name) == ("active", "gold")


def test_thousands_of_pairs_are_cheap(service: Service) -> None:
    count = 60 if "memory" in str(service.settings.store) else 300
    with editing(service.catalog, "test") as edit:
        create_plan(edit, NewPlan(name="gold"))
        for number in range(ROUTES):
            asked = {"apiName": "orders", "apiVersion": "v1", "endpointName": f"/{number}"}
            register_api_route(edit, msgspec.convert(asked, ApiRouteRegistration))
        prints = []
        for number in range(count):
            customer = create_customer(edit, NewCustomer(name=f"c{number}"))
            key, _ = service.keys.create(edit, NewKey(customer=customer.id))
            subscribe(edit, NewSubscription(customer=customer.id, plan="gold"))
            prints.append(key.fingerprint)
    calls = [
        Call(consumer=consumer, api="orders", api_version="v1", endpoint=f"/{number}")
        for consumer in prints
        for number in range(ROUTES)
    ]
    now = time.time_ns() // 1_000
    started = time.process_time()
    resolver = load_resolver(service.catalog, prints)
    found = [resolver.resolve(call, now) for call in calls]
    taken = time.process_time() - started

    assert all(one.route and one.state == "active" for one in found)
    assert len({one.customer.id for one in found if one.customer}) == count
    assert taken < 5, f"{len(calls)} pairs took {taken:.2f} s"
