"""Decisions of the gate: limits are kept to the unit, in their periods and for what they are of."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from support.gated import DAY, UNIT, Gated
from support.stores import ENGINES
from tollkeeper.events.lease import LimitState
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.audit import editing
from tollkeeper.service.gate import Decision
from tollkeeper.service.grants import NewGrant, grant_units
from tollkeeper.service.subscription_life import SubscriptionPatch, update_subscription

SECOND = 1_000_000
MONTH_ENDS = 30.5 * 86_400
"""Seconds from the beginning to the end of March."""


@pytest.mark.parametrize("gated", ENGINES, indirect=True)
def test_a_quota_admits_what_it_has_and_not_one_more(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 10}])
    first = gated.ask(client, 4)
    assert [decision.limits for decision in first] == [
        [LimitState(name="all month", quota=10 * UNIT, window=31 * 86_400, remaining=left * UNIT, resets=MONTH_ENDS)]
        for left in (9, 8, 7, 6)
    ]
    assert {(one.customer, one.plan, one.denial, one.hold) for one in first} == {("customer 1", "plan 1", None, None)}
    assert gated.admitted(client, 20, gate=gated.new_gate()) == 6
    (refused,) = gated.ask(client)
    assert refused.denial is not None
    assert (refused.denial.status, refused.denial.code) == (429, "quota_exceeded")
    assert refused.denial.retry_after == MONTH_ENDS
    assert "'all month'" in refused.denial.detail
    assert (refused.customer, refused.limits[0].remaining) == ("customer 1", 0)
    assert gated.counted(client) == (10, 0)


@pytest.mark.parametrize("gated", ENGINES, indirect=True)
def test_a_reservation_holds_until_it_is_released_or_its_time_is_over(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 3}])
    first, second = gated.ask(client, 2, reserve=True, endpoint="/orders")
    assert first.hold is not None
    assert second.hold not in {None, first.hold}
    assert first.hold_seconds == 60.0
    assert gated.counted(client) == (0, 2)
    (kept,) = gated.holds(first.hold).values()
    assert (kept.consumer, kept.endpoint, kept.units, kept.lease, kept.open) == (
        client.consumer, "/orders", UNIT, False, True,
    )  # fmt: skip
    assert gated.admitted(client, 2) == 1
    assert gated.gate.release(first.hold)
    assert not gated.gate.release(first.hold)
    assert not gated.gate.release("none")
    assert gated.counted(client) == (1, 1)
    assert gated.admitted(client, 2) == 1
    gated.now += 60 * SECOND - 1
    gated.lead()
    assert gated.admitted(client, 1) == 0
    gated.now += 1
    assert gated.admitted(client, 1) == 0  # its usage may have been reported: the leader knows
    gated.lead()
    assert gated.admitted(client, 2, gate=gated.new_gate()) == 1
    assert gated.counted(client) == (3, 0)
    assert not gated.gate.release(second.hold or "")


@pytest.mark.parametrize("gated", ENGINES, indirect=True)
def test_what_is_leased_in_vain_comes_back_within_a_second_of_any_call(gated: Gated) -> None:
    client, other = gated.client(limits=[{"limit": 9}]), gated.client(limits=[{"limit": 9}])
    gated.take(client)
    gated.now += 16 * SECOND
    gated.ask(other)
    assert gated.counted(client) == (0, 0)


def test_reservations_that_are_over_are_forgotten(gated: Gated) -> None:
    client, other = gated.client(limits=[{"limit": 9}]), gated.client(limits=[{"limit": 9}])
    holds = [decision.hold for decision in gated.ask(client, 3, reserve=True)]
    gated.now += 61 * SECOND
    gated.lead()
    assert gated.counted(client) == (0, 0)
    gated.now += 2 * SECOND
    gated.ask(other)
    assert gated.holds(*holds) == {}


def test_what_was_reported_in_time_counts_though_the_leader_is_late(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 2}])
    assert gated.admitted(client, 3, reserve=True) == 2
    gated.now += 3_600 * SECOND
    assert gated.admitted(client, 3, reserve=True) == 0


def test_a_question_reserves_nothing(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 2}])
    (asked,) = gated.ask(client, units=0, reserve=True)
    assert (asked.denial, asked.hold) == (None, None)


def test_a_rate_that_was_raised_lets_calls_in_soon(gated: Gated) -> None:
    client = gated.client(rates=[{"rate": 1, "per": "minute", "burst": 600}])
    assert gated.admitted(client, 700) == 600
    gated.change_plan(1, rates=[{"rate": 6_000, "per": "minute"}])
    assert gated.admitted(client, 1) == 0
    gated.now += SECOND
    assert gated.admitted(client, 200) == 100


def test_a_clock_that_is_set_back_does_not_stop_a_rate(gated: Gated) -> None:
    client = gated.client(rates=[{"rate": 10}])
    assert gated.admitted(client, 10) == 10
    gated.now -= 3_600 * SECOND
    assert gated.admitted(client, 1) == 0
    gated.now += SECOND
    assert gated.admitted(client, 20) == 10


def test_more_reservations_than_expire_at_once_come_back(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 4_500}])
    assert gated.admitted(client, 5_000, reserve=True) == 4_500
    gated.now += 61 * SECOND
    gated.lead()
    assert gated.admitted(client, 4_600, reserve=True) == 4_500
    gated.now += 61 * SECOND
    gated.lead()
    gated.ask(client)
    gated.now += 1
    gated.ask(client)
    gated.now += 1
    gated.ask(client)
    assert gated.counted(client) == (3, 0)


def test_a_new_period_begins_anew(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 2, "period": "day"}, {"limit": 3, "period": "month"}])
    assert gated.admitted(client, 9) == 2
    gated.now += DAY // 2 - 1
    assert gated.admitted(client, 9) == 0
    gated.now += 1
    assert gated.admitted(client, 9) == 1
    gated.now += DAY
    (refused,) = gated.ask(client)
    assert refused.denial is not None
    assert "'all month'" in refused.denial.detail


def test_limits_are_of_an_endpoint_or_of_all(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 5}, {"limit": 2, "endpoint": "/orders"}, {"limit": 0, "api": "maps"}])
    assert gated.admitted(client, 3, endpoint="/orders") == 2
    assert gated.admitted(client, 9, endpoint="/orders/{id}") == 3
    assert gated.code(client) == "quota_exceeded"
    assert sorted((one.id.split("|")[1], one.used // UNIT) for one in gated.counters(client)) == [
        ("/orders month", 2), ("all month", 5),
    ]  # fmt: skip


def test_several_limits_count_all_or_nothing(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 5}, {"limit": 3, "period": "day"}], rates=[{"rate": 4, "per": "minute"}])
    assert gated.admitted(client, 9, units=2) == 1
    assert {one.used // UNIT for one in gated.counters(client)} == {2}
    assert gated.admitted(client, 9) == 1
    (refused,) = gated.ask(client)
    assert [(state.name, state.remaining // UNIT) for state in refused.limits] == [
        ("all day", 0), ("all per minute", 1), ("all month", 2),
    ]  # fmt: skip
    assert refused.denial is not None
    assert refused.denial.retry_after == 43_200


def test_parts_of_units_add_up(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 1}])
    assert gated.admitted(client, 9, units=0.3) == 3
    assert gated.admitted(client, 9, units=0.1) == 1
    assert gated.code(client, units=2) == "quota_exceeded"


def test_a_call_that_never_fits_is_told_so(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 1}], rates=[{"rate": 5}])
    for units in (2, 6):
        (refused,) = gated.ask(client, units=units)
        assert refused.denial is not None
        assert refused.denial.retry_after is None
        assert "more than it ever allows" in refused.denial.detail


def test_a_rate_is_kept(gated: Gated) -> None:
    client = gated.client(rates=[{"rate": 10, "burst": 2}])
    assert gated.admitted(client, 5) == 2
    (refused,) = gated.ask(client)
    assert refused.denial is not None
    assert (refused.denial.status, refused.denial.code, refused.denial.retry_after) == (429, "rate_limited", 0.1)
    admitted = 0
    for _ in range(100):
        gated.now += SECOND // 100
        admitted += gated.admitted(client, 3)
    assert admitted == 10
    assert gated.ask(client, reserve=True)[0].hold is None


def test_a_rate_of_nothing_admits_nothing(gated: Gated) -> None:
    assert gated.code(gated.client(rates=[{"rate": 0}])) == "rate_limited"


def test_a_soft_limit_is_watched_and_refuses_nothing(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 1, "hard": False}])
    decision = gated.ask(client, 3)[2]
    assert decision == Decision(customer="customer 1", plan="plan 1", leasable=True)
    assert gated.counted(client) == (3, 0)


def test_without_limits_nothing_is_written(gated: Gated) -> None:
    client = gated.client()
    (decision,) = gated.ask(client, reserve=True)
    assert decision == Decision(customer="customer 1", plan="plan 1")
    assert gated.counters(client) == []


def test_overrides_take_the_place_of_the_plans_limits(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 1}], overrides={"limits": [{"limit": 3}]})
    assert gated.admitted(client, 9) == 3
    lifted = SubscriptionPatch(overrides={"limits": [{"limit": None}]})
    gated.do(lambda edit: update_subscription(edit, client.subscription, lifted))
    assert gated.admitted(client, 9) == 9


def test_the_limits_of_a_subscription_hold_when_it_says_so(gated: Gated) -> None:
    own = [{"endpoint": "/orders", "limit": 1, "period": "day"}]
    client = gated.client(has_quota_limits=True, own_limits=own)
    assert gated.admitted(client, 9, endpoint="/orders") == 1
    assert gated.admitted(client, 9) == 9
    assert gated.admitted(gated.client(own_limits=own), 9, endpoint="/orders") == 9


def test_a_grant_adds_to_its_period(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 2, "period": "day"}])
    assert gated.admitted(client, 9) == 2
    tomorrow = from_microseconds(gated.now + DAY)
    with editing(gated.service.catalog, "test") as edit:
        edit.now = from_microseconds(gated.now)
        grant_units(edit, client.subscription, NewGrant(limit="all day", units=Decimal(3)))
        grant_units(edit, client.subscription, NewGrant(limit="all day", units=Decimal(1), at=tomorrow))
    assert gated.admitted(client, 9) == 3
    gated.now += DAY
    assert gated.admitted(client, 9) == 3
    gated.now += DAY
    assert gated.admitted(client, 9) == 2


def test_what_was_carried_over_may_be_used(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 2}])
    gated.ask(client)
    (counter,) = gated.counters(client)
    with gated.service.quotas.writing() as book:
        book.put([replace(counter, carried=UNIT)])
    assert gated.admitted(client, 9) == 2
    assert gated.ask(client)[0].limits[0].quota == 3 * UNIT
