"""What is reported settles the reservations that were made for it, and no others."""

from __future__ import annotations

from msgspec.structs import replace

from tollkeeper.billing.counter import Hold
from tollkeeper.billing.settling import Settled, Usage, expire, settle

ALL, ORDERS, MAPS = "sub|all month|1", "sub|orders all month|1", "sub|maps all month|1"
YESTERDAY, TODAY = "sub|all day|1", "sub|all day|2"


def hold(name: str, *counters: str, endpoint: str | None = None, units: int = 1, used: int = 0) -> Hold:
    return Hold(
        id=name, consumer="acme", endpoint=endpoint, counters=list(counters), units=units, used=used, expires_at=9
    )


def usage(*counters: str, endpoint: str | None = None, consumer: str = "acme") -> Usage:
    return Usage(consumer, endpoint, frozenset(counters))


def units(settled: list[Settled]) -> dict[str, int]:
    found = {one.hold.id: one.units for one in settled}
    assert len(found) == len(settled)
    return found


def test_the_oldest_are_settled_first_and_one_in_part_stays_open() -> None:
    first, second, third = (hold(name, ALL, units=2) for name in "abc")

    assert settle([first, second, third], {usage(ALL): 3}) == [
        Settled(replace(first, used=2, open=False, expires_at=0), 2),
        Settled(replace(second, used=1), 1),
    ]
    assert settle([replace(second, used=1)], {usage(ALL): 3}) == [
        Settled(replace(second, used=2, open=False, expires_at=0), 1)
    ]


def test_those_of_the_endpoint_go_before_those_of_any_and_what_is_left_goes_on() -> None:
    holds = [hold("any", ALL, units=9), hold("orders", ALL, endpoint="/orders"), hold("parts", ALL, endpoint="/parts")]

    assert units(settle(holds, {usage(ALL, endpoint="/orders"): 1})) == {"orders": 1}
    assert units(settle(holds, {usage(ALL, endpoint="/orders"): 3})) == {"orders": 1, "any": 2}
    assert units(settle(holds, {usage(ALL): 3})) == {"any": 3}


def test_usage_with_and_without_an_endpoint_settles_what_is_for_any() -> None:
    holds = [hold(name, ALL) for name in "abcd"]

    assert units(settle(holds, {usage(ALL): 1, usage(ALL, endpoint="/orders"): 3})) == dict.fromkeys("abcd", 1)
    (settled,) = settle([hold("a", ALL, units=5)], {usage(ALL): 1, usage(ALL, endpoint="/orders"): 3})
    assert (settled.units, settled.hold.used, settled.hold.open) == (4, 4, True)


def test_usage_of_another_consumer_api_or_period_settles_nothing() -> None:
    holds = [hold("orders", ALL, ORDERS), hold("today", TODAY)]

    assert settle(holds, {usage(ALL, ORDERS, TODAY, consumer="other"): 5}) == []
    assert settle(holds, {usage(ALL, MAPS): 5, usage(YESTERDAY): 5}) == []
    assert units(settle(holds, {usage(ALL, MAPS): 5, usage(ALL, ORDERS): 5, usage(TODAY): 5})) == {
        "orders": 1,
        "today": 1,
    }


def test_usage_settles_what_holds_room_in_some_of_its_counters() -> None:
    assert units(settle([hold("all", ALL)], {usage(ALL, ORDERS, endpoint="/orders"): 1})) == {"all": 1}


def test_the_narrowest_usage_is_taken_first() -> None:
    holds = [hold("all", ALL), hold("orders", ALL, ORDERS)]

    assert units(settle(holds, {usage(ALL, ORDERS): 1, usage(ALL): 1})) == {"all": 1, "orders": 1}


def test_usage_of_no_units_settles_nothing() -> None:
    assert settle([hold("a", ALL)], {usage(ALL): 0, usage(ALL, ORDERS): 0}) == []


def test_what_expires_gives_back_what_it_holds_still() -> None:
    reserved = hold("a", ALL, units=3, used=1)
    lease = replace(reserved, lease=True)

    assert expire(reserved) == Settled(replace(reserved, open=False, expires_at=0), 2)
    assert expire(lease) == Settled(replace(lease, open=False), 2)
