"""Limits and rates: how they are called, which of them hold, and what they may not say."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.billing.limit import Limit, Rate, Terms, terms_of
from tollkeeper.billing.limit_check import check_terms
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription
from tollkeeper.billing.terms import LimitPeriod, RouteLimit
from tollkeeper.errors import UnprocessableError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def plan(**body: Any) -> Plan:
    return Plan(id="pln", name="gold", body=body, created_at=NOW)


def subscription(*, has_quota_limits: bool = False, **overrides: Any) -> Subscription:
    return Subscription(
        id="sub",
        customer="cus",
        started_at=NOW,
        anchor=NOW,
        has_quota_limits=has_quota_limits,
        overrides=overrides,
        created_at=NOW,
    )


def route_limit(limit: int, period: LimitPeriod, endpoint: str | None = None) -> RouteLimit:
    return RouteLimit(id="lim", subscription="sub", endpoint=endpoint, limit=limit, period=period, created_at=NOW)


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (Limit(limit=1), "all month"),
        (Limit(limit=1, period="billing", api="orders"), "orders all billing"),
        (Limit(limit=1, endpoint="/orders/{id}", period="day"), "/orders/{id} day"),
        (Limit(limit=1, api="my orders", endpoint="all"), "my%20orders %61ll month"),
        (Limit(limit=1, api='a"|%ü'), "a%22%7C%25%C3%BC all month"),
        (Rate(rate=1), "all per second"),
        (Rate(rate=1, per="minute", api="orders", endpoint="/a"), "orders /a per minute"),
    ],
)
def test_limits_are_called_by_their_scope_and_period(one: Limit | Rate, name: str) -> None:
    assert one.name == name


scopes = st.none() | st.sampled_from(["all", "a", "a b", "b", "/", "all all", "month", "%61ll"]) | st.text(min_size=1)


@given(scopes, scopes, scopes, scopes)
def test_two_scopes_never_share_a_name(
    api: str | None, endpoint: str | None, other: str | None, way: str | None
) -> None:
    first, second = Limit(limit=1, api=api, endpoint=endpoint), Limit(limit=2, api=other, endpoint=way)

    assert (first.name == second.name) == ((api, endpoint) == (other, way))
    assert set(first.name) <= set(string.printable) - set('"\\|\t\n\r\v\f')


def test_the_plan_comes_first_then_route_limits_then_overrides() -> None:
    offered = plan(
        limits=[{"limit": 10}, {"limit": 20, "period": "day"}, {"limit": 30, "period": "hour"}],
        rates=[{"rate": 5}],
        on_failure="deny",
    )
    own = [route_limit(7, "day"), route_limit(8, "day", "/a")]
    subscribed = subscription(
        has_quota_limits=True, limits=[{"limit": None, "period": "hour"}], rates=[{"rate": 9, "burst": 90}], note="x"
    )

    terms = terms_of(offered, subscribed, own)
    assert {one.name: one.limit for one in terms.limits} == {
        "all month": 10,
        "all day": 7,
        "all hour": None,
        "/a day": 8,
    }
    assert terms.rates == [Rate(rate=9, burst=90)]
    assert terms.on_failure == "deny"


def test_route_limits_hold_only_where_the_subscription_has_quota_limits() -> None:
    assert terms_of(None, subscription(), [route_limit(7, "day")]) == Terms(on_failure="admit")
    assert terms_of(None, subscription(on_failure="deny"), ()).on_failure == "deny"


def test_a_call_falls_under_the_limits_of_its_api_and_endpoint_and_of_all() -> None:
    terms = Terms(
        limits=[
            Limit(limit=1),
            Limit(limit=2, api="orders"),
            Limit(limit=3, endpoint="/a"),
            Limit(limit=4, api="orders", endpoint="/a"),
            Limit(limit=None, period="day"),
        ],
        rates=[Rate(rate=1), Rate(rate=2, endpoint="/b"), Rate(rate=None, per="minute")],
    )

    def applying(api: str | None, endpoint: str | None) -> tuple[list[int | None], list[int | None]]:
        limits, rates = terms.applying(api, endpoint)
        return [one.limit for one in limits], [one.rate for one in rates]

    assert applying("orders", "/a") == ([1, 2, 3, 4], [1])
    assert applying("orders", "/b") == ([1, 2], [1, 2])
    assert applying("other", "/a") == ([1, 3], [1])
    assert applying(None, None) == ([1], [1])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"limits": [{"limit": -1}]}, r">= 0 - at `\$\.limits\[0\]\.limit`"),
        ({"limits": [{"limit": 2**53 + 1}]}, "<= 9007199254740992"),
        ({"limits": [{"limit": 1.5}]}, "Expected `int | null`"),
        ({"limits": [{}]}, "missing required field `limit`"),
        ({"limits": [{"limit": 1, "period": "decade"}]}, "Invalid enum value 'decade'"),
        ({"limits": [{"limit": 1, "carry_over": -1}]}, ">= 0"),
        ({"limits": [{"limit": 1, "anchor": "2026-01-01T00:00:00"}]}, "timezone"),
        ({"limits": [{"limit": 1, "endpoint": ""}]}, "length >= 1"),
        ({"limits": [{"limit": 1, "hart": True}]}, "unknown field `hart`"),
        ({"rates": [{"rate": 100_001}]}, "<= 100000"),
        ({"rates": [{"rate": 1, "burst": 0}]}, ">= 1"),
        ({"rates": [{"rate": 1, "per": "hour"}]}, "Invalid enum value 'hour'"),
        ({"on_failure": "ask"}, "Invalid enum value 'ask'"),
    ],
)
def test_what_a_limit_may_not_be(document: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(document, Terms)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (Terms(limits=[Limit(limit=1), Limit(limit=2, hard=False)]), "Two limits are called 'all month'"),
        (Terms(rates=[Rate(rate=1, api="a"), Rate(rate=2, api="a")]), "Two rates are called 'a all per second'"),
        (Terms(limits=[Limit(limit=1, period="billing", anchor=NOW)]), "which a billing period is not counted from"),
        (Terms(limits=[Limit(limit=1, period="hour", anchor=NOW)]), "which a hour period"),
        (Terms(limits=[Limit(limit=1, anchor=datetime(1969, 1, 1, tzinfo=UTC))]), "not between the years"),
        (Terms(limits=[Limit(limit=None)]), "The plan has 'all month' without a figure"),
        (Terms(rates=[Rate(rate=None)]), "The plan has 'all per second' without a figure"),
    ],
)
def test_what_limits_may_not_say_together(terms: Terms, message: str) -> None:
    with pytest.raises(UnprocessableError, match=message):
        check_terms(terms)


def test_only_an_override_may_lift_a_limit() -> None:
    lifted = Terms(limits=[Limit(limit=None)], rates=[Rate(rate=None)])
    fine = Terms(limits=[Limit(limit=1, anchor=NOW), Limit(limit=1, period="hour")], rates=[Rate(rate=0)])

    assert check_terms(lifted, override=True) is lifted
    assert check_terms(fine) is fine
