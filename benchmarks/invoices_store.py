"""A store with a month of many customers' calls, made once and kept in the cache; events go straight into the file."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.dataset import publish, store_code
from benchmarks.environments import cache_folder
from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.billing.subscription import Subscription
from tollkeeper.billing.terms import PlanChange
from tollkeeper.events.event import Consumer
from tollkeeper.events.ids import id_from_hash
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.metering.window import DAY
from tollkeeper.store.engines import open_stores
from tollkeeper.store.sqlite.connections import Connections
from tollkeeper.store.sqlite.dimensions import assign_numbers
from tollkeeper.store.sqlite.inserting import insert_events

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = ["MONTH", "make_billing_store"]

MONTH = "2026-01"
START = datetime(2026, 1, 1, tzinfo=UTC)
START_US, DAYS, ROUTES = to_microseconds(START), 31, 50
BATCH, FOLD = 100_000, 1_000_000
LEDGER = "INSERT INTO ledger (source_id, received, stored, duplicate, rejected) VALUES (?, ?, ?, 0, 0)"
TIERS = [{"up_to": "1000", "unit_price": "0.002"}, {"unit_price": "0.001"}]
PLANS = (
    Plan(id="pln_0", name="payg", currency="EUR", created_at=START),
    Plan(id="pln_1", name="off", kind="discount_percent", amount=Decimal(10), currency="EUR", created_at=START),
    Plan(
        id="pln_2",
        name="metered",
        currency="EUR",
        body={
            "fee": "20",
            "minimum": "25",
            "prices": [
                {"name": "Calls", "meter": "calls", "rows": [{"price": {"model": "graduated", "tiers": TIERS}}]}
            ],
        },
        created_at=START,
    ),
)


def make_billing_store(events: int, customers: int) -> Path:
    """Make the store where it is not there yet; customers follow a power law, routes have a price each."""
    name = f"billing-{customers}c-{events}e"
    store = cache_folder() / f"{name}-{store_code(Path(__file__))}.db"
    for old in {*cache_folder().glob(f"{name}-*.db")} - {store}:
        old.unlink()
    if not store.exists():
        publish(store, lambda path: _fill(path, events, customers))
    return store


def _fill(path: Path, events: int, customers: int) -> None:
    store, catalog = open_stores(f"sqlite:///{path}")
    with catalog.writing() as records:
        for record in [*_products(), *(one for number in range(customers) for one in _customer(number))]:
            records.add(record)
    connections = Connections(path)
    routes = [(_endpoint(number), "GET", "shop", "v1") for number in range(ROUTES)]
    keys = [_key(number) for number in range(customers)]
    numbers = assign_numbers(connections, ["shop"], routes, [Consumer(key) for key in keys])
    route_numbers = np.array([numbers.routes[route] for route in routes])
    consumer_numbers = np.array([numbers.consumers[key][0] for key in keys])
    source = numbers.sources["shop"]
    for rows in _traffic(events, source, consumer_numbers, route_numbers):
        with connections.write() as connection:
            insert_events(connection, [rows])
    with connections.write() as connection:
        connection.execute(LEDGER, (source, events, events))
    connections.close()
    while store.fold(FOLD):
        pass
    store.close()
    catalog.close()


def _products() -> Iterator[Any]:
    yield Api(id="api_0", name="shop", created_at=START)
    yield ApiVersion(id="ver_0", api="api_0", name="v1", created_at=START)
    for number in range(ROUTES):
        route = f"rte_{number:03}"
        yield ApiRoute(id=route, version="ver_0", endpoint=_endpoint(number), method="GET", created_at=START)
        yield RoutePrice(
            id=f"prc_{number:03}",
            route=route,
            price=Decimal(1 + number % 9) / 1000,
            currency="EUR",
            valid_from=START,
            created_at=START,
        )
    yield MeterDefinition(id="mtr_0", name="calls", body={"name": "calls", "aggregation": "count"}, created_at=START)
    yield from PLANS


def _customer(number: int) -> Iterator[Any]:
    customer, subscription = f"cus_{number:07}", f"sub_{number:07}"
    yield Customer(id=customer, name=f"Customer {number}", created_at=START)
    yield ApiKey(
        id=f"key_{number:07}",
        customer=customer,
        prefix="tk_bench",
        digest=number.to_bytes(8),
        fingerprint=_key(number),
        created_at=START,
    )
    yield Subscription(id=subscription, customer=customer, started_at=START, anchor=START, created_at=START)
    yield PlanChange(
        id=f"chg_{number:07}",
        subscription=subscription,
        plan=PLANS[number % len(PLANS)].id,
        effective_at=START,
        created_at=START,
    )


def _traffic(events: int, source: int, consumers: Any, routes: Any) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of the table ``event``, in order of time; each customer calls now and then, some of them very often."""
    random = np.random.default_rng(7)
    step = DAYS * DAY / events
    for first in range(0, events, BATCH):
        count = min(BATCH, events - first)
        times = START_US + ((np.arange(first, first + count) + random.random(count)) * step).astype(np.int64)
        who = consumers[(len(consumers) * random.random(count) ** 2).astype(int)]
        what = routes[(len(routes) * random.random(count) ** 2).astype(int)]
        elapsed = (random.lognormal(-4, 1, count) * 1e6).astype(int)
        sizes = random.integers(100, 20_000, count)
        columns = (column.tolist() for column in (times, who, what, elapsed, sizes))
        yield [
            (source, _id(time, first + place), time, consumer, route, 200, taken, size, 1_000_000, None, None, 0)
            for place, (time, consumer, route, taken, size) in enumerate(zip(*columns, strict=True))
        ]


def _id(time: int, number: int) -> bytes:
    return bytes.fromhex(id_from_hash(time, number.to_bytes(10)).replace("-", ""))


def _key(number: int) -> str:
    return f"key_{number:07}"


def _endpoint(number: int) -> str:
    return f"/v1/section-{number}/items/{{id}}"
