from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiRoute, ApiVersion, RoutePrice
from tollkeeper.billing.resolve import Call, Facts, Resolution, Resolver
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.billing.terms import PlanChange
from tollkeeper.events.timestamps import EPOCH, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def api(name: str) -> Api:
    return Api(id=f"api_{name}", name=name, created_at=START)


def version(api: str, name: str) -> ApiVersion:
    return ApiVersion(id=f"ver_{api}_{name}", api=f"api_{api}", name=name, created_at=START)


def route(version: str, endpoint: str | None = None, method: str | None = None) -> ApiRoute:
    identity = f"{version}|{endpoint}|{method}"
    return ApiRoute(id=identity, version=f"ver_{version}", endpoint=endpoint, method=method, created_at=START)


def price(route: ApiRoute, amount: str, day: int | None = None) -> RoutePrice:
    valid_from = EPOCH if day is None else START + day * DAY
    return RoutePrice(
        id=f"prc_{amount}",
        route=route.id,
        price=Decimal(amount),
        currency="EUR",
        valid_from=valid_from,
        created_at=START,
    )


def subscription(identity: str, day: int = 0, **values: Any) -> Subscription:
    begun = START + day * DAY
    return Subscription(id=identity, customer="cus", started_at=begun, anchor=begun, created_at=START, **values)


def change(subscription: str, plan: str, day: int) -> PlanChange:
    return PlanChange(
        id=f"chg_{day}", subscription=subscription, plan=plan, effective_at=START + day * DAY, created_at=START
    )


CUSTOMER = Customer(id="cus", name="Acme", created_at=START)
KEY = ApiKey(id="key", customer="cus", prefix="tk_", digest=b"", fingerprint="key_1", created_at=START)
PLANS = [Plan(id=name, name=name, created_at=START) for name in ("free", "gold")]
DEFAULT, EXACT, POSTED = route("orders_v1"), route("orders_v1", "/orders"), route("orders_v1", "/orders", "POST")
CALL = Call(consumer="key_1", api="orders", api_version="v1", endpoint="/orders", method="GET")


def facts(**changes: Any) -> Facts:
    plain: dict[str, Any] = {
        "apis": [api("orders"), api("maps")],
        "versions": [version("orders", "v1"), version("orders", "v2"), version("maps", "v1")],
        "routes": [DEFAULT, EXACT, POSTED],
        "prices": [price(DEFAULT, "1"), price(EXACT, "2"), price(EXACT, "3", 30)],
        "plans": PLANS,
        "keys": [KEY],
        "customers": [CUSTOMER],
        "subscriptions": [subscription("sub")],
        "changes": [change("sub", "free", 0), change("sub", "gold", 31)],
    }
    return Facts(**(plain | changes))


def at(day: float) -> int:
    return to_microseconds(START + day * DAY)


def resolve(day: float = 0, call: Call = CALL, **changes: Any) -> Resolution:
    return Resolver(facts(**changes)).resolve(call, at(day))


def called(**changes: Any) -> Call:
    values = {name: getattr(CALL, name) for name in CALL.__struct_fields__}
    return Call(**(values | changes))


def test_all_that_is_known_of_a_call() -> None:
    found = resolve(10)

    assert (found.key, found.customer, found.route) == (KEY, CUSTOMER, EXACT)
    assert found.api is not None
    assert found.version is not None
    assert (found.api.name, found.version.name) == ("orders", "v1")
    assert found.subscription is not None
    assert (found.subscription.id, found.state) == ("sub", "active")
    assert found.plan is PLANS[0]
    assert found.price is not None
    assert found.price.price == 2


def test_what_is_not_known_is_none() -> None:
    empty = Resolver(Facts()).resolve(CALL, at(0))
    assert empty == Resolution()
    assert resolve(call=Call()) == Resolution()
    stranger = resolve(call=called(consumer="key_2"))
    assert (stranger.customer, stranger.subscription, stranger.route) == (None, None, EXACT)
    elsewhere = resolve(call=called(api="nowhere"))
    assert (elsewhere.customer, elsewhere.api, elsewhere.route, elsewhere.price) == (CUSTOMER, None, None, None)
    assert resolve(call=called(api_version="v9")).version is None
    assert resolve(call=called(api="maps")).route is None
    assert resolve(-1).state is None
    assert resolve(-1).subscription is None
    assert resolve(changes=[]).plan is None


def test_price_and_plan_are_those_of_the_time() -> None:
    resolver = Resolver(facts())

    def seen(day: float) -> tuple[Decimal | None, str | None]:
        found = resolver.resolve(CALL, at(day))
        return found.price.price if found.price else None, found.plan.name if found.plan else None

    assert [seen(day) for day in (-9, 0, 29.9, 30, 31)] == [
        (Decimal(2), None),
        (Decimal(2), "free"),
        (Decimal(2), "free"),
        (Decimal(3), "free"),
        (Decimal(3), "gold"),
    ]


@pytest.mark.parametrize(
    ("endpoint", "method", "expected"),
    [
        ("/orders", "GET", EXACT),
        ("/orders", "POST", POSTED),
        ("/orders", None, EXACT),
        ("/other", "POST", DEFAULT),
        (None, None, DEFAULT),
    ],
)
def test_a_route_is_the_exact_endpoint_else_the_default(
    endpoint: str | None, method: str | None, expected: ApiRoute
) -> None:
    assert resolve(call=called(endpoint=endpoint, method=method)).route == expected


def test_a_call_without_a_version_is_of_the_first() -> None:
    found = resolve(call=called(api_version=None))
    assert found.version == version("orders", "v1")
    assert resolve(call=called(api_version=None), versions=[]).version is None


def test_a_call_without_an_api_is_to_the_one_subscribed_to() -> None:
    orders = subscription("sub", api="api_orders", ended_at=START + 50 * DAY)
    maps = subscription("sub_2", 20, api="api_maps")
    whole: dict[str, Any] = {"subscriptions": [orders, maps]}
    nameless = called(api=None)

    assert resolve(10, nameless, **whole).api == api("orders")
    assert resolve(30, nameless, **whole).api is None
    assert resolve(60, nameless, **whole).api == api("maps")


def test_a_subscription_to_all_names_the_one_api_that_there_is_and_none_of_several() -> None:
    nameless, orders = called(api=None), api("orders")
    narrow = subscription("sub_2", api="api_orders")
    ended = [subscription("sub", ended_at=START + 5 * DAY)]

    assert resolve(10, nameless, apis=[orders]).api == orders
    assert resolve(10, nameless, apis=[orders]).route == EXACT
    assert resolve(10, nameless).api is None
    assert resolve(10, nameless, subscriptions=[subscription("sub"), narrow]).api is None
    assert resolve(10, nameless, apis=[orders], subscriptions=ended).api is None
    assert resolve(10, nameless, apis=[]).api is None


def test_an_api_that_is_made_later_takes_no_calls_of_before() -> None:
    maps = replace(api("maps"), created_at=START + 20 * DAY)
    nameless = called(api=None)
    assert resolve(10, nameless, apis=[api("orders"), maps]).api == api("orders")
    assert resolve(20, nameless, apis=[api("orders"), maps]).api is None
    # One that is subscribed to by name may be meant from the beginning of that.
    named = [subscription("sub"), subscription("sub_2", api="api_maps")]
    assert resolve(10, nameless, apis=[api("orders"), maps], subscriptions=named).api is None
    # What is registered later is found for calls before there was any, if there is but one.
    assert resolve(10, nameless, apis=[maps]).api == maps


def test_the_apis_of_a_consumer_are_those_subscribed_to_at_the_time() -> None:
    orders = subscription("sub", api="api_orders", ended_at=START + 50 * DAY)
    resolver = Resolver(facts(subscriptions=[orders, subscription("sub_2", 20)]))
    names = [[one.name for one in resolver.apis("key_1", at(day))] for day in (-1, 0, 20, 50)]

    assert names == [[], ["orders"], ["maps", "orders"], ["maps", "orders"]]
    assert resolver.apis("key_2", at(0)) == resolver.apis(None, at(0)) == []


def test_the_narrowest_subscription_in_force_counts() -> None:
    everything = subscription("all")
    orders = subscription("orders", 1, api="api_orders", ended_at=START + 9 * DAY)
    first = subscription("v1", 2, api="api_orders", version="ver_orders_v1", ended_at=START + 5 * DAY)
    other = subscription("v2", 0, api="api_orders", version="ver_orders_v2")
    found = [
        resolve(day, subscriptions=[other, first, everything, orders]).subscription for day in (0, 1, 2, 4.9, 5, 9)
    ]

    assert [one.id if one else None for one in found] == ["all", "orders", "v1", "v1", "orders", "all"]


def test_a_subscription_that_has_ended_or_pauses_is_named_with_its_state() -> None:
    ended = subscription("sub", ended_at=START + 10 * DAY)
    pause = SubscriptionPause(id="p", subscription="sub", paused_at=START + 2 * DAY, resumed_at=START + 4 * DAY)
    states = [resolve(day, subscriptions=[ended], pauses=[pause]).state for day in (1, 2, 3, 4, 10)]

    assert states == ["active", "paused", "paused", "active", "ended"]


def test_a_key_or_route_registered_later_resolves_earlier_calls() -> None:
    before = resolve(1, keys=[], customers=[], subscriptions=[], routes=[], prices=[])
    after = resolve(1)

    assert before == Resolution(api=api("orders"), version=version("orders", "v1"))
    assert (after.customer, after.route) == (CUSTOMER, EXACT)
    assert after.price is not None


def test_a_revoked_key_is_still_its_customers() -> None:
    revoked = ApiKey(
        id="key",
        customer="cus",
        prefix="tk_",
        digest=b"",
        fingerprint="key_1",
        revoked_at=START,
        created_at=START,
    )
    assert resolve(5, keys=[revoked]).customer == CUSTOMER


def test_a_timeline_changes_only_where_something_does() -> None:
    timeline = Resolver(facts()).timeline(CALL)

    assert timeline.starts == [0, at(0), at(30), at(31)]
    assert timeline.at(-5) == timeline.resolutions[0]


def test_a_call_is_worked_out_once() -> None:
    resolver = Resolver(facts())
    assert resolver.timeline(CALL) is resolver.timeline(called())


days = st.integers(0, 20)


@given(
    st.lists(st.tuples(days, days, st.sampled_from([None, "api_orders"]), st.booleans()), max_size=4),
    st.lists(days, unique=True, max_size=4),
    st.integers(-1, 21),
)
def test_the_timeline_agrees_with_looking_at_each_moment(
    made: Sequence[tuple[int, int, str | None, bool]], priced: list[int], day: int
) -> None:
    subscriptions = [
        subscription(f"sub_{index}", begun, api=scope, ended_at=START + (begun + length) * DAY if ends else None)
        for index, (begun, length, scope, ends) in enumerate(made)
    ]
    prices = [price(EXACT, str(start), start) for start in priced]
    whole: dict[str, Any] = {"subscriptions": subscriptions, "prices": prices, "changes": []}
    found = resolve(day, **whole)
    begun = [one for one in subscriptions if one.started_at <= START + day * DAY]
    live = [one for one in begun if one.ended_at is None or one.ended_at > START + day * DAY]

    assert (found.subscription is None) == (not begun)
    assert (found.state == "active") == bool(live)
    assert (found.price.price if found.price else None) == max((one for one in priced if one <= day), default=None)
