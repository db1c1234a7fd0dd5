"""Periods are closed once, what is left comes over once, and somebody is told of it once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from support.limited import START, START_US, called, counters, report, sell
from tollkeeper.billing.counter import Counter
from tollkeeper.billing.limit import QuotaGrant
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription
from tollkeeper.billing.terms import PlanChange, RouteLimit
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.audit import editing
from tollkeeper.service.quota_folding import QuotaFolder
from tollkeeper.service.quota_notices import tell_of_periods
from tollkeeper.service.quota_opening import open_quotas_that_carry
from tollkeeper.service.quota_reset import reset_quotas
from tollkeeper.store.operations import AlertChannel, AlertRule, Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.subscription_limits import SubscriptionLimits
    from tollkeeper.store.protocols import RecordStore

DAY = timedelta(days=1)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
UNIT = 1_000_000


def monthly(limit: int = 100, **changes: Any) -> dict[str, Any]:
    return {"limit": limit, "period": "month", **changes}


def count(service: Service, at: datetime, calls: int = 1, *, units: int = 1) -> None:
    report(service, [called(at, units=Decimal(units)) for _ in range(calls)])
    folder = QuotaFolder(service.events, service.catalog, service.quotas)
    while folder.fold(1_000):
        pass


def silence(_store: RecordStore, _known: SubscriptionLimits, _ended: Sequence[Counter]) -> None:
    """Tell nobody."""


def reset(service: Service, now: datetime) -> int:
    return reset_quotas(service.catalog, service.quotas, silence, now)


def carried(service: Service, *subscriptions: str) -> dict[datetime, tuple[int, bool]]:
    """What came over into each period, by its start, and whether it is closed."""
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    return {
        zero + timedelta(microseconds=one.starts_at): (one.carried // UNIT, one.closed_at is not None)
        for one in counters(service, *subscriptions).values()
    }


def test_what_is_left_comes_over_up_to_what_the_limit_says(service: Service) -> None:
    sub = sell(service, monthly(100, carry_over=30))
    count(service, START, 80)
    assert reset(service, FEBRUARY - DAY) == 0
    assert reset(service, FEBRUARY) == 1
    assert carried(service, sub) == {START: (0, True), FEBRUARY: (20, False)}
    assert reset(service, FEBRUARY) == 0

    count(service, FEBRUARY, 1)
    assert reset(service, MARCH) == 1
    assert carried(service, sub)[MARCH] == (30, False)


def test_periods_that_nobody_closed_in_time_are_closed_in_turn(service: Service) -> None:
    sub = sell(service, monthly(100, carry_over=150))
    count(service, START, 90)

    assert reset(service, MARCH + DAY) == 2
    assert carried(service, sub) == {START: (0, True), FEBRUARY: (10, True), MARCH: (110, False)}


def test_nothing_comes_over_without_a_word_of_it_or_when_nothing_is_left(memory: Service) -> None:
    plain, gone = sell(memory, monthly(), name="acme"), sell(memory, monthly(5, carry_over=5), name="gone")
    count(memory, START)
    report(memory, [called(START, name="gone") for _ in range(9)])
    count(memory, START)
    assert reset(memory, FEBRUARY) == 2
    assert carried(memory, plain) == {START: (0, True)}
    assert carried(memory, gone) == {START: (0, True), FEBRUARY: (0, False)}


def test_an_idle_period_after_one_that_was_used_up_has_units_to_hand_on(service: Service) -> None:
    minute = timedelta(minutes=1)
    sub = sell(service, {"limit": 10, "period": "minute", "carry_over": 5})
    count(service, START, 10)
    closed = [reset(service, START + number * minute) for number in (1, 2, 3)]

    assert closed == [1, 1, 1]
    assert carried(service, sub) == {
        START: (0, True),
        START + minute: (0, True),
        START + 2 * minute: (5, True),
        START + 3 * minute: (5, False),
    }


def test_what_is_reported_of_an_hour_that_may_be_forgotten_lets_nothing_come_over(service: Service) -> None:
    hour = timedelta(hours=1)
    sub = sell(service, {"limit": 10, "period": "hour", "carry_over": 5})
    for number in range(40):
        count(service, START + number * hour, 10)
        reset(service, START + (number + 1) * hour)
    now = START + 40 * hour
    with service.quotas.writing() as book:
        assert book.forget(to_microseconds(now - DAY), 1_000) == 15
    count(service, START + 5 * hour)

    assert reset(service, now) == 1
    assert carried(service, sub)[START + 5 * hour] == (0, True)
    assert START + 6 * hour not in carried(service, sub)
    assert {units for units, _ in carried(service, sub).values()} == {0}


def test_what_is_reported_late_of_a_day_that_was_long_ago_is_still_reckoned_with(memory: Service) -> None:
    sub = sell(memory, {"limit": 10, "period": "day", "carry_over": 5})
    count(memory, START, 6)
    reset(memory, START + 9 * DAY)
    assert carried(memory, sub)[START + DAY] == (4, True)
    count(memory, START, 3)
    reset(memory, START + 9 * DAY)

    assert carried(memory, sub)[START + DAY] == (1, True)


def test_what_is_reported_after_the_end_is_taken_off_what_came_over(service: Service) -> None:
    sub = sell(service, monthly(100, carry_over=100))
    count(service, START, 10)
    reset(service, MARCH)
    assert carried(service, sub)[MARCH][0] == 100
    count(service, START, 50, units=2)

    assert carried(service, sub)[START] == (0, False)
    assert reset(service, MARCH) == 2
    assert carried(service, sub) == {START: (0, True), FEBRUARY: (0, True), MARCH: (100, False)}


def test_granted_units_and_units_that_are_held_are_reckoned_with(memory: Service) -> None:
    sub = sell(memory, monthly(10, carry_over=100))
    with editing(memory.catalog, "test") as edit:
        grant: dict[str, Any] = {"subscription": sub, "limit": "all month", "created_at": START}
        edit.add(QuotaGrant(id="gra_1", units=5 * UNIT, at=START + DAY, **grant))
        edit.add(QuotaGrant(id="gra_2", units=7 * UNIT, at=FEBRUARY, **grant))
        edit.add(QuotaGrant(id="gra_3", units=7 * UNIT, at=START, **grant | {"limit": "other"}))
    with memory.quotas.writing() as book:
        start, end = START_US, to_microseconds(FEBRUARY)
        name = f"{sub}|all month|{start}"
        book.put([Counter(id=name, subscription=sub, used=UNIT, held=2 * UNIT, starts_at=start, ends_at=end)])
    reset(memory, FEBRUARY)

    assert carried(memory, sub)[FEBRUARY] == (12, False)


def test_what_was_used_in_the_next_period_already_stays(memory: Service) -> None:
    sub = sell(memory, monthly(10, carry_over=4))
    count(memory, START)
    count(memory, FEBRUARY, 3)
    reset(memory, FEBRUARY + DAY)

    found = counters(memory, sub)[f"{sub}|all month|{to_microseconds(FEBRUARY)}"]
    assert (found.used, found.carried) == (3 * UNIT, 4 * UNIT)


@pytest.mark.parametrize("ended", [FEBRUARY, FEBRUARY - DAY])
def test_nothing_comes_over_to_a_subscription_that_has_ended(memory: Service, ended: datetime) -> None:
    sub = sell(memory, monthly(10, carry_over=4), ended_at=ended)
    count(memory, START)

    assert reset(memory, FEBRUARY) == 1
    assert carried(memory, sub) == {START: (0, True)}


def test_a_counter_of_nobody_known_is_closed(memory: Service) -> None:
    with memory.quotas.writing() as book:
        book.put([Counter(id="gone|all month|1", subscription="gone", starts_at=1, ends_at=2)])

    assert reset(memory, START) == 1
    assert carried(memory, "gone") == {datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC): (0, True)}


def test_a_period_that_a_change_of_plan_made_longer_goes_on(memory: Service) -> None:
    sub = sell(memory, {"limit": 10, "period": "billing", "carry_over": 5}, started=START, anchor=START)
    name = f"{sub}|all billing|{START_US}"
    early = to_microseconds(START + 10 * DAY)
    with memory.quotas.writing() as book:
        book.put([Counter(id=name, subscription=sub, used=UNIT, starts_at=START_US, ends_at=early)])

    assert reset(memory, START + 12 * DAY) == 0
    assert counters(memory, sub)[name].ends_at == to_microseconds(FEBRUARY)
    assert reset(memory, FEBRUARY) == 1
    assert carried(memory, sub)[FEBRUARY] == (5, False)


def test_another_plan_from_the_next_period_on_decides_whether_there_is_a_limit_to_come_over_to(memory: Service) -> None:
    sub = sell(memory, monthly(10, carry_over=4))
    with editing(memory.catalog, "test") as edit:
        edit.add(Plan(id="pla_free", name="free", created_at=START))
        edit.add(
            PlanChange(id=record_id("chg"), subscription=sub, plan="pla_free", effective_at=FEBRUARY, created_at=START)
        )
    count(memory, START)

    assert reset(memory, FEBRUARY) == 1
    assert carried(memory, sub) == {START: (0, True)}


def test_a_counter_that_somebody_closed_meanwhile_is_left_alone(memory: Service) -> None:
    sell(memory, monthly(10, carry_over=4))
    count(memory, START)

    def overtake(_store: RecordStore, _known: SubscriptionLimits, _ended: Sequence[Counter]) -> None:
        assert reset(memory, FEBRUARY) == 1

    assert reset_quotas(memory.catalog, memory.quotas, overtake, FEBRUARY) == 0


def test_periods_of_no_use_are_begun_where_units_carry_over(service: Service) -> None:
    sub = sell(service, monthly(10, carry_over=4), {"limit": 1, "period": "day"})
    own = sell(service, name="own", overrides={"limits": [monthly(7, carry_over=1)]})
    sell(service, monthly(10), name="plain")
    sell(service, monthly(10, carry_over=4), name="ended", ended_at=START)

    assert open_quotas_that_carry(service.catalog, service.quotas, START + DAY) == 2
    assert open_quotas_that_carry(service.catalog, service.quotas, START + DAY) == 0
    reset(service, FEBRUARY)
    assert carried(service, sub) == {START: (0, True), FEBRUARY: (4, False)}
    assert carried(service, own) == {START: (0, True), FEBRUARY: (1, False)}
    assert open_quotas_that_carry(service.catalog, service.quotas, FEBRUARY) == 0


def test_limits_of_the_routes_of_a_subscription_stand_in_the_place_of_those_that_carry_over(memory: Service) -> None:
    sub = sell(memory, {"limit": 5, "period": "day", "carry_over": 2}, has_quota_limits=True)
    with editing(memory.catalog, "test") as edit:
        edit.add(RouteLimit(id="lim_1", subscription=sub, endpoint=None, limit=9, period="day", created_at=START))

    assert open_quotas_that_carry(memory.catalog, memory.quotas, START) == 0


def test_without_a_limit_that_carries_over_nobody_is_looked_at(memory: Service) -> None:
    sell(memory, monthly(10))
    sell(memory, name="own", overrides={"limits": [monthly(7)]})
    sell(memory, name="none", overrides={"limits": "?"})

    assert open_quotas_that_carry(memory.catalog, memory.quotas) == 0


def told(service: Service) -> list[Message]:
    with service.catalog.reading() as records:
        return records.find(Message)


def add_rule(service: Service, **changes: Any) -> None:
    plain: dict[str, Any] = {"id": "rul_1", "name": "resets", "kind": "quota_reset", "channels": {"ops": "cha_1"}}
    with editing(service.catalog, "test") as edit:
        edit.add(AlertChannel(id="cha_1", name="ops", kind="email", address="ops@example.test", created_at=START))
        edit.add(AlertRule(**(plain | changes), created_at=START))


def test_somebody_is_told_once_of_a_period_that_was_used(service: Service) -> None:
    sub = sell(service, monthly(100, api="orders"), monthly(100), {"limit": 1, "period": "hour"})
    sell(service, monthly(10, carry_over=3), name="idle")
    add_rule(service)
    count(service, START, 3)
    open_quotas_that_carry(service.catalog, service.quotas, START + DAY)
    for _ in range(2):
        reset_quotas(service.catalog, service.quotas, tell_of_periods, FEBRUARY)
        count(service, START, 1)

    first, _ = sorted(told(service), key=lambda message: str(message.document["limit"]))
    with service.catalog.reading() as records:
        subscription = records.get(Subscription, sub)
    assert subscription is not None
    assert first.document == {
        "kind": "quota_reset",
        "rule": "resets",
        "customer": subscription.customer,
        "customer_name": "acme",
        "subscription": sub,
        "api": None,
        "endpoint": None,
        "limit": "all month",
        "used": 3.0,
        "allowed": 100.0,
        "starts_at": "2026-01-01T00:00:00+00:00",
        "ends_at": "2026-02-01T00:00:00+00:00",
    }


def test_of_short_periods_and_of_those_of_no_use_nobody_is_told(memory: Service) -> None:
    sell(memory, {"limit": 1, "period": "hour"}, monthly(10, endpoint="/parts", carry_over=1))
    add_rule(memory)
    count(memory, START)
    open_quotas_that_carry(memory.catalog, memory.quotas, START)
    reset_quotas(memory.catalog, memory.quotas, tell_of_periods, FEBRUARY)

    assert told(memory) == []


def test_nobody_is_told_who_has_no_rule_for_it(memory: Service) -> None:
    sell(memory, monthly(100))
    add_rule(memory, kind="quota")
    count(memory, START, 3)
    reset_quotas(memory.catalog, memory.quotas, tell_of_periods, FEBRUARY)

    assert told(memory) == []


def test_of_a_limit_or_a_subscription_that_is_gone_there_is_less_to_tell(memory: Service) -> None:
    sub = sell(memory)
    add_rule(memory)
    month = {"used": UNIT, "starts_at": START_US, "ends_at": to_microseconds(FEBRUARY)}
    with memory.quotas.writing() as book:
        book.put([Counter(id=f"{one}|all month|1", subscription=one, **month) for one in (sub, "gone")])
    reset_quotas(memory.catalog, memory.quotas, tell_of_periods, FEBRUARY)

    (message,) = told(memory)
    assert (message.document["subscription"], message.document["allowed"]) == (sub, None)
