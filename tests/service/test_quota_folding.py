"""Events are added to the counters of limits, each once, in the period of its own time."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from support.gated import DAY, Gated
from support.limited import START, START_US, called, counters, report, sell, used
from tollkeeper.billing.counter import Counter, Hold
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import Api, ApiVersion
from tollkeeper.billing.terms import PlanChange, RouteLimit
from tollkeeper.events.event import Consumer
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import from_microseconds, to_microseconds
from tollkeeper.service.audit import editing
from tollkeeper.service.gate import GateCall
from tollkeeper.service.quota_folding import QuotaFolder, expire_holds

if TYPE_CHECKING:
    from support.gated import Client
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import QuotaBook

MONTH = {"limit": 100, "period": "month"}
SECOND = timedelta(seconds=1)
UNIT = 1_000_000


def fold(service: Service, limit: int = 1_000) -> int:
    folder = QuotaFolder(service.events, service.catalog, service.quotas)
    total = 0
    while count := folder.fold(limit):
        total += count
    return total


def test_events_count_in_the_counters_of_their_own_time(service: Service) -> None:
    sub = sell(service, MONTH, {"limit": 10, "period": "day", "endpoint": "/orders", "hard": False})
    day = timedelta(days=1)
    report(service, [called(START), called(START + 31 * day), called(START - SECOND), called(START, endpoint="/parts")])
    report(service, [called(START, units=Decimal("2.5")), called(START, name="nobody"), called(START, consumer=None)])

    assert fold(service, 2) == 7
    assert used(service, sub) == {
        f"{sub}|all month|{START_US - 31 * 86_400 * UNIT}": 1,
        f"{sub}|all month|{START_US}": 4,
        f"{sub}|all month|{START_US + 31 * 86_400 * UNIT}": 1,
        f"{sub}|/orders day|{START_US - 86_400 * UNIT}": 1,
        f"{sub}|/orders day|{START_US}": 3,
        f"{sub}|/orders day|{START_US + 31 * 86_400 * UNIT}": 1,
    }
    assert counters(service, sub)[f"{sub}|all month|{START_US}"].used == 4_500_000
    assert fold(service) == 0


def test_what_the_gate_has_counted_is_passed_over(memory: Service) -> None:
    sub = sell(memory, MONTH)
    report(memory, [called(START, gated=True), called(START)])

    assert fold(memory) == 2
    assert used(memory, sub) == {f"{sub}|all month|{START_US}": 1}


def test_a_report_settles_the_oldest_reservations_of_its_endpoint_and_then_of_any(memory: Service) -> None:
    sub = sell(memory, MONTH)
    now = START + timedelta(hours=1)
    owner = called(now).consumer
    assert owner is not None
    month = f"{sub}|all month|{START_US}"

    def hold(number: int, endpoint: str | None, units: int) -> Hold:
        return Hold(
            id=f"hld_{number}",
            consumer=owner.key,
            endpoint=endpoint,
            counters=[month],
            units=units * UNIT,
            expires_at=START_US + 9**15,
        )

    with memory.quotas.writing() as book:
        book.put([Counter(id=month, subscription=sub, held=9 * UNIT, starts_at=START_US, ends_at=START_US + 1)])
        book.hold([hold(1, "/orders", 1), hold(2, "/orders", 3), hold(3, None, 2), hold(4, "/parts", 1)])
        book.hold([hold(5, None, 2), replace_lease(hold(6, "/orders", 1))])
    report(memory, [called(now) for _ in range(3)])
    fold(memory)

    assert holds(memory) == {
        "hld_1": (1, False),
        "hld_2": (2, True),
        "hld_3": (0, True),
        "hld_4": (0, True),
        "hld_5": (0, True),
        "hld_6": (0, True),
    }
    assert standing(memory, month) == (3, 6)
    report(memory, [called(now) for _ in range(4)])
    fold(memory)

    assert holds(memory)["hld_2"] == (3, False)
    assert holds(memory)["hld_3"] == (2, False)
    assert holds(memory)["hld_5"] == (1, True)
    assert holds(memory)["hld_4"] == (0, True)
    assert standing(memory, month) == (7, 2)


def replace_lease(hold: Hold) -> Hold:
    return Hold(**{name: getattr(hold, name) for name in hold.__struct_fields__} | {"lease": True})


def holds(service: Service) -> dict[str, tuple[int, bool]]:
    with service.quotas.reading() as book:
        found = book.holds([f"hld_{number}" for number in range(1, 7)])
    return {name: (one.used // UNIT, one.open) for name, one in found.items()}


def standing(service: Service, counter: str) -> tuple[int, int]:
    with service.quotas.reading() as book:
        found = book.counters([counter])[counter]
    return found.used // UNIT, found.held // UNIT


def test_reserved_by_the_gate_and_reported_counts_once(service: Service) -> None:
    sub = sell(service, {"limit": 3, "period": "year"})
    call = GateCall(secret="the-secret-key-of-acme", api="orders", api_version="v1", endpoint="/orders", reserve=True)
    decided = service.gate.decide([call, call, call, call])
    assert [one.denial is None for one in decided] == [True, True, True, False]
    (counter,) = counters(service, sub).values()
    assert (counter.used, counter.held) == (0, 3 * UNIT)
    report(service, [called(from_microseconds(counter.starts_at)) for _ in range(2)])
    fold(service)

    (counter,) = counters(service, sub).values()
    assert (counter.used, counter.held) == (2 * UNIT, UNIT)
    expire_holds(service.quotas, counter.ends_at)
    (counter,) = counters(service, sub).values()
    assert (counter.used, counter.held) == (2 * UNIT, 0)
    assert service.gate.decide([call])[0].denial is None


def report_to(gated: Gated, client: Client, calls: int, *, ago: int = 0, **changes: object) -> None:
    at = from_microseconds(gated.now - ago)
    report(gated.service, [called(at, consumer=Consumer(client.consumer), **changes) for _ in range(calls)])  # type: ignore[arg-type]  # plain test data
    fold(gated.service)


@pytest.mark.parametrize("endpoint", [None, "/orders"])
def test_calls_of_another_api_settle_no_reservation_of_this_one(endpoint: str | None) -> None:
    gated = Gated()
    limits = [{"limit": 5, "period": "year", "api": "orders"}, {"limit": 100, "period": "year", "api": "maps"}]
    client = gated.client(api=None, limits=limits)
    assert gated.admitted(client, 5, api="orders", endpoint=endpoint, reserve=True) == 5
    assert gated.admitted(client, 2, api="maps", endpoint=endpoint, reserve=True) == 2
    report_to(gated, client, 5, api="maps")

    assert {one.id.split("|")[1]: (one.used // UNIT, one.held // UNIT) for one in gated.counters(client)} == {
        "orders all year": (0, 5),
        "maps all year": (5, 0),
    }
    assert gated.code(client, api="orders", endpoint=endpoint) == "quota_exceeded"


def test_calls_of_yesterday_settle_no_reservation_of_today() -> None:
    gated = Gated()
    client = gated.client(limits=[{"limit": 5, "period": "day"}])
    assert gated.admitted(client, 5, endpoint="/orders", reserve=True) == 5
    report_to(gated, client, 5, ago=DAY)

    assert gated.counted(client) == (0, 5)
    assert gated.code(client, endpoint="/orders") == "quota_exceeded"


def test_a_call_that_names_no_api_counts_and_settles_where_there_is_but_one() -> None:
    gated = Gated()
    client = gated.client(api=None, limits=[{"limit": 5, "period": "year", "api": "orders"}])
    with editing(gated.service.catalog, "test") as edit:
        (maps,) = edit.records.find(Api, name="maps")
        for version in edit.records.find(ApiVersion, api=maps.id):
            edit.remove(version)
        edit.remove(maps)
    assert gated.admitted(client, 9, endpoint="/orders", reserve=True) == 5
    report_to(gated, client, 5, api=None)

    assert gated.counted(client) == (5, 0)


def test_holds_come_back_when_they_have_expired_and_no_sooner(service: Service) -> None:
    sub = sell(service, MONTH)
    month = f"{sub}|all month|{START_US}"
    with service.quotas.writing() as book:
        book.put([Counter(id=month, subscription=sub, used=UNIT, held=6 * UNIT, starts_at=START_US, ends_at=START_US)])
        book.hold([lease(1, month, used=1), lease(2, month, used=0), lease(3, "gone", used=0)])

    assert expire_holds(service.quotas, START_US) == 0
    assert expire_holds(service.quotas, START_US + 1) == 1
    assert standing(service, month) == (1, 4)
    assert expire_holds(service.quotas, START_US + 9) == 2
    assert standing(service, month) == (1, 1)
    assert expire_holds(service.quotas) == 0


def lease(number: int, counter: str, *, used: int) -> Hold:
    return Hold(
        id=f"hld_{number}",
        consumer="acme",
        counters=[counter],
        units=3 * UNIT,
        used=used * UNIT,
        lease=True,
        expires_at=START_US + number,
    )


def test_a_minute_in_which_a_period_or_a_plan_ends_is_told_apart(service: Service) -> None:
    turn = START + timedelta(seconds=30)
    sub = sell(service, {"limit": 9, "period": "billing"}, {"limit": 9, "period": "day"}, anchor=turn - timedelta(31))
    with editing(service.catalog, "test") as edit:
        other = Plan(id="pla_other", name="other", body={"limits": [MONTH]}, created_at=START)
        edit.add(other)
        change = {"id": record_id("chg"), "effective_at": turn + 10 * SECOND, "created_at": START}
        edit.add(PlanChange(subscription=sub, plan=other.id, **change))  # type: ignore[arg-type]  # plain test data
    report(service, [called(START + number * SECOND) for number in range(60)])
    report(service, [called(START, endpoint="/other") for _ in range(5)])
    fold(service)

    day, turned = f"{START_US}", f"{to_microseconds(turn)}"
    before = f"{to_microseconds(turn - timedelta(31))}"
    assert used(service, sub) == {
        f"{sub}|all day|{day}": 45,
        f"{sub}|all billing|{before}": 35,
        f"{sub}|all billing|{turned}": 10,
        f"{sub}|all month|{day}": 20,
    }


def test_limits_of_the_subscription_count_too(memory: Service) -> None:
    own = sell(memory, name="own", has_quota_limits=True)
    other = sell(memory, name="other", overrides={"limits": [MONTH]})
    with editing(memory.catalog, "test") as edit:
        edit.add(RouteLimit(id="lim_1", subscription=own, endpoint="/orders", limit=1, period="year", created_at=START))
    report(memory, [called(START, name="own"), called(START, name="own", endpoint="/x"), called(START, name="other")])
    fold(memory)

    assert used(memory, own, other) == {f"{own}|/orders year|{START_US}": 1, f"{other}|all month|{START_US}": 1}


def test_a_call_that_names_no_api_counts_for_the_one_that_is_subscribed_to(memory: Service) -> None:
    sub = sell(memory, MONTH | {"api": "orders"}, api="api_1")
    report(memory, [called(START, api=None, api_version=None), called(START, api="other"), called(START)])
    fold(memory)

    assert used(memory, sub) == {f"{sub}|orders all month|{START_US}": 2}


def test_without_limits_all_is_passed_over_and_what_comes_after_a_new_limit_counts(memory: Service) -> None:
    sub = sell(memory)
    folder = QuotaFolder(memory.events, memory.catalog, memory.quotas)
    report(memory, [called(START) for _ in range(9)])
    assert folder.fold(2) == 9
    assert folder.fold(2) == 0
    report(memory, [called(START)])
    assert folder.fold(2) == 1

    with editing(memory.catalog, "test") as edit:
        edit.add(Plan(id="pla_new", name="new", body={"limits": [MONTH]}, created_at=START))
        change = {"id": record_id("chg"), "effective_at": START - SECOND, "created_at": START}
        edit.add(PlanChange(subscription=sub, plan="pla_new", **change))  # type: ignore[arg-type]  # plain test data
    report(memory, [called(START) for _ in range(3)])
    assert [folder.fold(2), folder.fold(2), folder.fold(2)] == [2, 1, 0]
    assert used(memory, sub) == {f"{sub}|all month|{START_US}": 3}


@pytest.mark.parametrize("kind", ["override", "route limit", "plan"])
def test_every_kind_of_limit_is_noticed(memory: Service, kind: str) -> None:
    sub = sell(memory, *([MONTH] if kind == "plan" else []), has_quota_limits=True)
    sell(memory, name="free")
    if kind == "override":
        sell(memory, name="x", overrides={"limits": [MONTH]})
    if kind == "route limit":
        with editing(memory.catalog, "test") as edit:
            edit.add(RouteLimit(id="lim_1", subscription=sub, endpoint=None, limit=1, period="year", created_at=START))
    report(memory, [called(START) for _ in range(3)])

    assert QuotaFolder(memory.events, memory.catalog, memory.quotas).fold(2) == 2


def test_two_folders_at_once_count_each_event_once(service: Service) -> None:
    sub = sell(service, MONTH)
    report(service, [called(START) for _ in range(200)])
    threads = [threading.Thread(target=fold, args=(service, 7)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    fold(service)
    assert used(service, sub) == {f"{sub}|all month|{START_US}": 200}


def test_who_was_overtaken_counts_nothing(memory: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    sub = sell(memory, MONTH)
    report(memory, [called(START), called(START)])
    folder, other = (QuotaFolder(memory.events, memory.catalog, memory.quotas) for _ in range(2))
    tally = memory.events.tally

    def overtaken(after: int, limit: int, *, step: int) -> object:
        monkeypatch.undo()
        assert other.fold(10) == 2
        return tally(after, limit, step=step)

    monkeypatch.setattr(memory.events, "tally", overtaken)
    assert folder.fold(10) == 0
    assert used(memory, sub) == {f"{sub}|all month|{START_US}": 2}


def test_a_transaction_that_fails_changes_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    sub = sell(service, MONTH)
    report(service, [called(START), called(START)])
    book: type[QuotaBook]
    with service.quotas.reading() as opened:
        book = type(opened)

    def failing(_book: QuotaBook, _seq: int) -> None:
        raise RuntimeError("between")

    with monkeypatch.context() as patched:
        patched.setattr(book, "move", failing)
        with pytest.raises(RuntimeError, match="between"):
            fold(service)
    assert counters(service, sub) == {}
    fold(service)
    assert used(service, sub) == {f"{sub}|all month|{START_US}": 2}


def test_usage_of_a_subscription_that_serves_no_more_counts(memory: Service) -> None:
    sub = sell(memory, MONTH, ended_at=START)
    report(memory, [called(START + SECOND), called(START - timedelta(days=500))])
    fold(memory)

    assert used(memory, sub) == {f"{sub}|all month|{START_US}": 1}
