"""Leases: how large they are, how long they last, and that with them no limit is passed either."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.gated import DAY, UNIT, Gated
from support.stores import ENGINES
from tollkeeper.events.lease import Grant, LeaseRequest, Settle, Take
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.audit import editing

SECOND = 1_000_000


@pytest.mark.parametrize("gated", ENGINES, indirect=True)
def test_a_lease_is_taken_used_and_given_back(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 100}])
    taken = gated.take(client, 10)
    assert (taken.units, taken.seconds, taken.denial) == (10 * UNIT, 10.0, None)
    assert (taken.customer, taken.plan, taken.on_failure) == ("customer 1", "plan 1", "admit")
    assert [state.remaining for state in taken.limits] == [90 * UNIT]
    assert gated.counted(client) == (0, 10)
    revision = gated.settle(taken.lease, 4).revision
    assert gated.counted(client) == (4, 6)
    for again in (4, 3, 0):
        assert gated.settle(taken.lease, again).revision == revision
    assert gated.counted(client) == (4, 6)
    gated.settle(taken.lease, 7, release=True)
    assert gated.counted(client) == (7, 0)
    gated.settle(taken.lease, 7, release=True)
    assert gated.counted(client) == (7, 0)


def test_a_lease_that_is_used_up_needs_no_release(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 100}])
    taken = gated.take(client, 3)
    revision = gated.settle(taken.lease, 3).revision
    assert gated.counted(client) == (3, 0)
    assert gated.settle(taken.lease, 3).revision == revision
    gated.now += 2 * SECOND
    gated.settle("none", 3)
    assert gated.holds(taken.lease) == {}


def test_nobody_uses_more_than_they_took(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 100}])
    gated.settle(gated.take(client, 3).lease, 1_000_000)
    assert gated.counted(client) == (3, 0)


def test_blocks_shrink_as_the_room_does_and_none_is_left(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 20}])
    blocks = []
    while (taken := gated.take(client, 10)).denial is None:
        blocks.append(taken.units / UNIT)
    assert blocks == [5, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1]
    assert sum(blocks) == 20
    assert (taken.denial.status, taken.denial.code, taken.lease) == (429, "quota_exceeded", None)
    assert taken.seconds == 1.0
    assert taken.limits[0].remaining == 0
    assert gated.code(client) == "quota_exceeded"


def test_parts_of_units_are_leased_to_the_end(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 1}])
    assert [gated.take(client, units).units for units in (0.4, 0.4)] == [400_000, 400_000]
    assert gated.take(client, 1).denial is not None
    assert gated.take(client, 0.2).units == 200_000


def test_a_lease_is_at_most_what_is_asked_and_least_a_millionth(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 1000}])
    assert [gated.take(client, units).units for units in (7, 2.5, 0)] == [7 * UNIT, 2_500_000, 1]


def test_a_lease_holds_room_of_all_its_limits(gated: Gated) -> None:
    client = gated.client(
        limits=[{"limit": 100}, {"limit": 8, "period": "day"}, {"limit": 1, "hard": False, "period": "hour"}]
    )
    taken = gated.take(client, 10)
    assert taken.units == 2 * UNIT
    assert [state.name for state in taken.limits] == ["all day", "all month"]
    assert {one.held for one in gated.counters(client)} == {2 * UNIT}
    gated.settle(taken.lease, 1, release=True)
    assert {(one.used, one.held) for one in gated.counters(client)} == {(UNIT, 0)}


@pytest.mark.parametrize("gated", ENGINES, indirect=True)
def test_a_lease_of_the_dead_comes_back_and_what_is_said_late_counts(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 4}])
    leases = [gated.take(client) for _ in range(4)]
    assert gated.take(client).denial is not None
    gated.settle(leases[0].lease, 0)
    gated.now += 15 * SECOND - 1
    assert gated.take(client).denial is not None
    gated.now += 1
    assert gated.admitted(client, 9) == 4
    gated.settle(leases[0].lease, 1)
    assert gated.counted(client) == (5, 0)
    gated.settle(leases[0].lease, 1, release=True)
    assert gated.counted(client) == (5, 0)
    gated.now += DAY + 1
    gated.ask(client)
    assert gated.holds(*(lease.lease for lease in leases)) == {}


def test_word_of_a_lease_renews_it(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 4}])
    taken = gated.take(client)
    revisions = set()
    for _ in range(10):
        gated.now += 9 * SECOND
        revisions.add(gated.settle(taken.lease, 0).revision)
    assert gated.counted(client) == (0, 1)
    assert len(revisions) == 1
    gated.now += 16 * SECOND
    gated.ask(client, 1)
    assert gated.counted(client) == (1, 0)
    assert gated.settle(taken.lease, 0).revision not in revisions


def test_a_lease_ends_with_its_period(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 100, "period": "day"}])
    gated.now += DAY // 2 - 4 * SECOND
    taken = gated.take(client)
    assert taken.seconds == 4.0
    gated.now += 3 * SECOND
    revision = gated.settle(taken.lease, 1).revision
    gated.now += SECOND
    assert gated.settle(taken.lease, 2).revision != revision
    before, after = (gated.gate.exchange(LeaseRequest()).revision for _ in range(2))
    assert before == after == revision
    assert gated.take(client).limits[0].remaining == 90 * UNIT


def test_a_lease_ends_with_its_key(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 100}])
    with editing(gated.service.catalog, "test") as edit:
        edit.now = from_microseconds(gated.now)
        gated.service.keys.rotate(edit, client.key, overlap=timedelta(seconds=3))
    taken = gated.take(client)
    assert taken.seconds == 3.0
    revision = gated.settle(taken.lease, 0).revision
    gated.now += 3 * SECOND
    assert gated.settle(taken.lease, 0).revision != revision
    denied = gated.take(client)
    assert denied.denial is not None
    assert (denied.denial.code, denied.seconds) == ("api_key_expired", 10.0)


def test_the_revision_tells_of_every_change(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 100}])
    taken = gated.take(client)
    before = gated.gate.exchange(LeaseRequest()).revision
    with editing(gated.service.catalog, "test") as edit:
        gated.service.keys.revoke(edit, client.key)
    gated.now = int(edit.now.timestamp()) * SECOND + SECOND
    answer = gated.gate.exchange(
        LeaseRequest(
            settle=[Settle(lease=taken.lease or "", used=3 * UNIT, release=True)], take=[Take(consumer=client.consumer)]
        )
    )
    assert answer.revision not in {"", before}
    assert [grant.denial and grant.denial.code for grant in answer.grants] == ["api_key_revoked"]


def test_an_empty_catalogue_has_an_empty_revision(gated: Gated) -> None:
    empty = Gated()
    assert empty.gate.exchange(LeaseRequest()).revision != gated.gate.exchange(LeaseRequest()).revision
    empty.close()


def test_settled_first_then_taken(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 4}])
    leases = [gated.take(client).lease for _ in range(4)]
    answer = gated.gate.exchange(
        LeaseRequest(
            settle=[Settle(lease=lease or "", used=0, release=True) for lease in leases],
            take=[Take(consumer=client.consumer, units=UNIT)] * 5,
        )
    )
    assert [grant.units for grant in answer.grants] == [UNIT] * 4 + [0]


def test_one_request_may_name_a_lease_twice_and_what_is_none(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 100}])
    taken, held = gated.take(client), gated.ask(client, reserve=True)[0].hold
    settles = [
        Settle(lease=taken.lease or "", used=UNIT),
        Settle(lease=taken.lease or "", used=2 * UNIT),
        Settle(lease="none\0", used=UNIT),
        Settle(lease=held or "", used=UNIT, release=True),
    ]
    gated.gate.exchange(LeaseRequest(settle=settles))
    assert gated.counted(client) == (2, 9)


def test_without_limits_no_lease_is_needed(gated: Gated) -> None:
    client = gated.client()
    assert gated.take(client) == Grant(seconds=10.0, customer="customer 1", plan="plan 1")


def test_strangers_and_unknown_routes_are_denied(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 9}])
    unknown = gated.take(client._replace(secret="of nobody"))
    assert unknown.denial is not None
    assert (unknown.denial.code, unknown.seconds) == ("unknown_api_key", 10.0)
    route = gated.take(client, endpoint="/none")
    assert route.denial is not None
    assert route.denial.code == "unknown_route"
    assert gated.take(client, api="orders", api_version="v1", endpoint="/orders", method="GET").units == 2 * UNIT


def test_the_plan_says_what_to_do_without_the_service(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 9}])
    gated.change_plan(1, on_failure="deny")
    assert gated.take(client).on_failure == "deny"


@pytest.mark.parametrize(("rate", "burst"), [(1, 1), (2, 2), (5, 20), (10, 10), (100, 100), (300, 30)])
def test_a_rate_is_kept_also_when_leases_are_used_late_beside_other_calls(gated: Gated, rate: int, burst: int) -> None:
    client = gated.client(rates=[{"rate": rate, "burst": burst}])
    used: list[int] = []
    for step in range(300):
        if step % 3 == 1 and gated.code(client) is None:
            used.append(gated.now)
        taken = gated.take(client, 50)
        if taken.denial is None:
            latest = gated.now + int(taken.seconds * SECOND)
            used += [latest] * (taken.units // UNIT)
            assert taken.units % UNIT == 0
            assert taken.seconds <= 1.0
        else:
            assert taken.denial.code == "rate_limited"
            assert taken.denial.retry_after is not None
            assert 0 < taken.seconds <= taken.denial.retry_after
        gated.now += SECOND // 50
    assert len(used) > rate * 3
    for start in used:
        for length in (SECOND, 3 * SECOND):
            within = sum(start <= at < start + length for at in used)
            assert within <= burst + rate * length / SECOND


def test_a_lease_under_a_rate_alone_holds_nothing(gated: Gated) -> None:
    taken = gated.take(gated.client(rates=[{"rate": 100}]), 20)
    assert taken.units == 20 * UNIT
    assert gated.holds(taken.lease) == {}
    revision = gated.settle(taken.lease, 5).revision
    assert gated.settle(taken.lease, 20, release=True).revision == revision


def test_a_rate_of_nothing_leases_nothing(gated: Gated) -> None:
    taken = gated.take(gated.client(rates=[{"rate": 0}]))
    assert taken.denial is not None
    assert (taken.denial.code, taken.denial.retry_after, taken.seconds) == ("rate_limited", None, 10.0)


def test_a_lease_with_a_rate_holds_its_quotas_too(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 100}], rates=[{"rate": 8, "per": "second"}])
    taken = gated.take(client, 50)
    assert (taken.units, taken.seconds) == (4 * UNIT, 0.5)
    assert {state.name: state.remaining // UNIT for state in taken.limits} == {"all per second": 0, "all month": 96}
    gated.settle(taken.lease, 4)
    assert gated.counted(client) == (4, 0)
