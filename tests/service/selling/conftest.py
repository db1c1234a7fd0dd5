"""A shop on each store, at a time that passes when it is told to; every test sells things of its own."""

from __future__ import annotations

import contextlib
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.stores import store_url
from tollkeeper.metering.meter import Meter
from tollkeeper.service.audit import Edit, editing
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.routes import NewRoute, create_route
from tollkeeper.service.selling.meters import create_meter
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.billing.customer import Customer
    from tollkeeper.billing.plan import Plan
    from tollkeeper.service.bootstrap import Service

NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)


class Shop:
    """A service with a clock, and names that nobody had before."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.now = NOW
        self._numbers = itertools.count()

    @contextlib.contextmanager
    def edit(self) -> Iterator[Edit]:
        with editing(self.service.catalog, "ann") as edit:
            edit.now = self.now
            yield edit

    def name(self) -> str:
        return f"name {next(self._numbers)}"

    def customer(self) -> Customer:
        with self.edit() as edit:
            return create_customer(edit, NewCustomer(name=self.name(), currency="EUR"))

    def plan(self, **values: Any) -> Plan:
        with self.edit() as edit:
            return create_plan(edit, msgspec.convert({"name": self.name(), "currency": "EUR", **values}, NewPlan))

    def meter(self, **values: Any) -> str:
        """The name of a new meter."""
        with self.edit() as edit:
            made = msgspec.convert({"name": self.name(), "aggregation": "count", **values}, Meter)
            return create_meter(edit, made).name

    def subscription(self, customer: Customer, plan: Plan, api: str | None = None) -> str:
        new = NewSubscription(customer=customer.id, plan=plan.id, api=api, started_at=self.now - timedelta(days=60))
        with self.edit() as edit:
            return subscribe(edit, new).id

    def api(self) -> tuple[str, str, str]:
        """The ids of an API, of a route with a price and of one without."""
        with self.edit() as edit:
            api = create_api(edit, NewApi(name=self.name()))
            create_version(edit, api.id, NewApi(name="v1"))
            priced = NewRoute(api=api.id, version="v1", price=Decimal("0.01"), currency="EUR")
            free = NewRoute(api=api.id, version="v1", endpoint="/free")
            return api.id, create_route(edit, priced).id, create_route(edit, free).id


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    service = open_service(Settings(store=store_url(request.param, tmp_path_factory.mktemp("selling"))))
    yield Shop(service)
    service.close()


@pytest.fixture
def shop(opened: Shop) -> Shop:
    opened.now = NOW
    return opened
