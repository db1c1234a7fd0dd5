"""The same history of the catalogue gives the same answers on every engine."""

from __future__ import annotations

import contextlib
import itertools
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.stores import ENGINES, store_url
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.resolve import Call, Resolution
from tollkeeper.billing.subscription import Subscription
from tollkeeper.errors import TollkeeperError
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.audit import Edit, editing
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.keys import NewKey
from tollkeeper.service.listing import find_named
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.products import ensure_version
from tollkeeper.service.resolution import load_resolver
from tollkeeper.service.routes import NewPrice, NewRoute, create_price, create_route, set_retired
from tollkeeper.service.subscription_life import cancel, change_plan, set_paused
from tollkeeper.service.subscription_views import show_subscriptions
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.settings import Settings
from tollkeeper.store.audit import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 1, 31, tzinfo=UTC)
DAY = timedelta(days=1)
PLANS = ["monthly", "daily", "trial"]
NUMBERS = itertools.count()

few = st.integers(0, 1)
STEPS = st.one_of(
    st.tuples(st.just("route"), few, st.sampled_from([None, "/a"])),
    st.tuples(st.just("price"), st.integers(0, 3), st.integers(0, 40)),
    st.tuples(st.just("retire"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("key"), few, few),
    st.tuples(st.just("revoke"), st.integers(0, 3)),
    st.tuples(st.just("subscribe"), few, st.sampled_from(PLANS), st.sampled_from([None, 0, 1]), st.integers(0, 20)),
    st.tuples(st.just("pause"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("cancel"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("plan"), st.integers(0, 3), st.sampled_from(PLANS)),
    st.tuples(st.just("wait"), st.integers(0, 40)),
)


class World(NamedTuple):
    """A corner of one catalogue, whose names no other history uses."""

    service: Service
    mark: str

    def run(self, steps: list[tuple[Any, ...]]) -> list[Any]:
        """What each step came to, and all that can be asked in the end."""
        now = START
        with self.edit(now) as edit:
            for number in range(2):
                create_customer(edit, NewCustomer(name="c", external_id=f"{self.mark}-{number}"))
                ensure_version(edit, f"{self.mark}-{number}", "v1")
            for name in PLANS:
                period, days = ("day" if name == "daily" else "month"), (5 if name == "trial" else 0)
                values = {"name": f"{self.mark}-{name}", "period": period, "trial_days": days}
                create_plan(edit, msgspec.convert(values, NewPlan))
        outcomes: list[Any] = []
        for verb, *arguments in steps:
            if verb == "wait":
                now += arguments[0] * DAY
                continue
            try:
                with self.edit(now) as edit:
                    getattr(self, f"do_{verb}")(edit, *arguments)
                outcomes.append("done")
            except TollkeeperError as error:
                outcomes.append(error.code)
        return [outcomes, self.subscriptions(now), self.resolved(), self.audited()]

    @contextlib.contextmanager
    def edit(self, now: datetime) -> Iterator[Edit]:
        with editing(self.service.catalog, self.mark) as edit:
            edit.now = now
            yield edit

    def mine(self, edit: Edit, kind: str, number: int) -> str:
        made = edit.records.find(AuditEntry, actor=self.mark, action="create", kind=kind)
        return made[number % len(made)].record if made else "none"

    def do_route(self, edit: Edit, api: int, endpoint: str | None) -> None:
        create_route(edit, NewRoute(api=f"{self.mark}-{api}", version="v1", endpoint=endpoint))

    def do_price(self, edit: Edit, route: int, day: int) -> None:
        new = NewPrice(price=Decimal(day), currency="EUR", valid_from=START + day * DAY)
        create_price(edit, self.mine(edit, "api_route", route), new)

    def do_retire(self, edit: Edit, route: int, retired: bool) -> None:  # noqa: FBT001  # drawn
        set_retired(edit, self.mine(edit, "api_route", route), retired=retired)

    def do_key(self, edit: Edit, customer: int, number: int) -> None:
        self.service.keys.create(edit, NewKey(customer=f"{self.mark}-{customer}", key=self.secret(number)))

    def do_revoke(self, edit: Edit, key: int) -> None:
        self.service.keys.revoke(edit, self.mine(edit, "api_key", key))

    def do_subscribe(self, edit: Edit, customer: int, plan: str, api: int | None, days: int) -> None:
        new = NewSubscription(
            customer=f"{self.mark}-{customer}",
            plan=f"{self.mark}-{plan}",
            api=None if api is None else f"{self.mark}-{api}",
            started_at=edit.now - days * DAY,
        )
        subscribe(edit, new)

    def do_pause(self, edit: Edit, subscription: int, paused: bool) -> None:  # noqa: FBT001  # drawn
        set_paused(edit, self.mine(edit, "subscription", subscription), paused=paused)

    def do_cancel(self, edit: Edit, subscription: int, at_once: bool) -> None:  # noqa: FBT001  # drawn
        cancel(edit, self.mine(edit, "subscription", subscription), at_once=at_once)

    def do_plan(self, edit: Edit, subscription: int, plan: str) -> None:
        change_plan(edit, self.mine(edit, "subscription", subscription), f"{self.mark}-{plan}")

    def secret(self, number: int) -> str:
        return f"the-key-{number}-of-{self.mark}-in-this-history"

    def plain(self, value: Any) -> Any:
        """A value without what differs between histories: ids and the mark."""
        document = msgspec.to_builtins(value, builtin_types=(datetime,))
        text = msgspec.json.encode(document).decode().replace(self.mark, "")
        return re.sub(r"(cus|sub|rte|pln|prc|key|chg|pau|api|ver)_[0-9a-z]{26}", r"\1", text)

    def subscriptions(self, now: datetime) -> list[str]:
        with self.service.catalog.reading() as records:
            customers = [
                find_named(records, Customer, f"{self.mark}-{number}", "external_id").id for number in range(2)
            ]
            found = records.find(Subscription, customer=customers)
            return [self.plain(view) for view in show_subscriptions(records, found, now)]

    def resolved(self) -> list[str]:
        resolver = load_resolver(self.service.catalog, [fingerprint(self.secret(number)) for number in range(2)])
        calls = [
            Call(consumer=fingerprint(self.secret(number)), api=api, endpoint=endpoint)
            for number in range(2)
            for api in (None, f"{self.mark}-0", f"{self.mark}-1")
            for endpoint in ("/a", "/b")
        ]
        times = [to_microseconds(START + day * DAY) for day in range(-25, 60, 3)]
        return [self.plain(_names(resolver.resolve(call, time))) for call in calls for time in times]

    def audited(self) -> list[tuple[str, str]]:
        with self.service.catalog.reading() as records:
            return [(entry.action, entry.kind) for entry in records.find(AuditEntry, actor=self.mark)]


def _names(found: Resolution) -> list[Any]:
    return [
        found.customer and found.customer.external_id,
        found.key is not None,
        found.subscription and (found.subscription.started_at, found.subscription.api),
        found.state,
        found.plan and found.plan.name,
        found.api and found.api.name,
        found.route and (found.route.endpoint, found.route.retired_at),
        found.price and found.price.price,
    ]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Service]]:
    folder = tmp_path_factory.mktemp("history")
    opened = [open_service(Settings(store=store_url(engine, folder))) for engine in ENGINES]
    yield opened
    for service in opened:
        service.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=8, max_size=40))
def test_the_same_history_gives_the_same_answers(services: list[Service], steps: list[tuple[Any, ...]]) -> None:
    mark = f"h{next(NUMBERS):06}"
    memory, *databases = [World(service, mark).run(steps) for service in services]

    for database in databases:
        assert database == memory
