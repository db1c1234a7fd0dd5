from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from tollkeeper.errors import StoreError
from tollkeeper.events.lease import LeaseAnswer, LeaseRequest
from tollkeeper.service import gate_desk
from tollkeeper.service.gate import Decision, Gate, GateCall
from tollkeeper.service.gate_desk import GateDesk

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence


class FakeGate:
    """Admits all, and remembers how many were decided together; holds each transaction until it is let go."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.may_go = threading.Event()
        self.known: set[str | None] = set()

    def decide(self, calls: Sequence[GateCall]) -> list[Decision]:
        self.may_go.wait(10)
        self.groups.append(len(calls))
        if any(call.api == "down" for call in calls):
            raise StoreError("cannot")
        if any(call.api == "poison" for call in calls):
            raise OverflowError("too much")
        return [Decision(customer=call.secret) for call in calls]

    def undecided(self, call: GateCall) -> Decision | None:
        return Decision(customer="remembered") if call.secret in self.known else None

    def exchange(self, _request: LeaseRequest) -> LeaseAnswer:
        self.may_go.wait(10)
        return LeaseAnswer(revision="7")

    def release(self, hold: str) -> bool:
        return hold == "there"


def call(secret: str = "k", api: str = "orders") -> GateCall:
    return GateCall(secret=secret, api=api)


def together(gate: FakeGate, *asked: GateCall) -> list[Any]:
    """What becomes of calls that arrive while the first one is decided."""

    async def run() -> list[Any]:
        desk = GateDesk(cast("Gate", gate))
        tasks = [asyncio.create_task(desk.decide(one)) for one in asked]
        await asyncio.sleep(0.05)
        gate.may_go.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        desk.close()
        return outcomes

    return asyncio.run(run())


def test_what_arrives_meanwhile_is_decided_together_and_each_gets_its_own_answer() -> None:
    gate = FakeGate()
    decisions = together(gate, *(call(f"k{number}") for number in range(20)))
    assert [decision.customer for decision in decisions] == [f"k{number}" for number in range(20)]
    assert gate.groups == [1, 19]


def test_groups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_desk, "GROUP_CALLS", 4)
    gate = FakeGate()
    together(gate, *(call() for _ in range(10)))
    assert gate.groups == [1, 4, 4, 1]


def test_when_the_store_fails_nothing_is_tried_again() -> None:
    gate = FakeGate()
    gate.known = {"acme"}
    first, *others = together(gate, call(), call("acme"), call(api="down"), call("unknown"))
    assert first.customer == "k"
    assert others[0].customer == "remembered", "the plan of that one is known, and admits"
    assert [isinstance(other, StoreError) for other in others] == [False, True, True]
    assert gate.groups == [1, 3]


def test_a_call_that_breaks_the_gate_harms_no_other() -> None:
    outcomes = together(FakeGate(), call(), call("a"), call(api="poison"), call("b"))
    assert [getattr(outcome, "customer", type(outcome)) for outcome in outcomes] == ["k", "a", OverflowError, "b"]


def test_too_many_that_wait_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_desk, "WAITING_CALLS", 2)
    gate = FakeGate()

    async def run() -> None:
        desk = GateDesk(cast("Gate", gate))
        deciding = asyncio.create_task(desk.decide(call()))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(desk.decide(call())), asyncio.create_task(desk.exchange(LeaseRequest()))]
        await asyncio.sleep(0)
        refused: list[Coroutine[Any, Any, object]] = [
            desk.decide(call()),
            desk.exchange(LeaseRequest()),
            desk.release("there"),
        ]
        for one in refused:
            with pytest.raises(StoreError) as error:
                await one
            assert error.value.code == "overloaded"
        gate.may_go.set()
        await asyncio.gather(deciding, *waiting)
        assert await desk.release("there")
        desk.close()

    asyncio.run(run())


def test_leases_and_releases_are_asked_apart() -> None:
    gate = FakeGate()
    gate.may_go.set()

    async def run() -> tuple[LeaseAnswer, bool, bool]:
        desk = GateDesk(cast("Gate", gate))
        return await desk.exchange(LeaseRequest()), await desk.release("there"), await desk.release("gone")

    answer, there, gone = asyncio.run(run())
    assert (answer.revision, there, gone) == ("7", True, False)


def test_a_caller_that_went_away_harms_nobody() -> None:
    gate = FakeGate()

    async def run() -> Decision:
        desk = GateDesk(cast("Gate", gate))
        gone, stays = (asyncio.create_task(desk.decide(call())) for _ in range(2))
        await asyncio.sleep(0.05)
        gone.cancel()
        gate.may_go.set()
        return await stays

    assert asyncio.run(run()).customer == "k"
    assert sum(gate.groups) == 2


def test_those_who_come_back_at_once_are_decided_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_desk, "LINGER_SECONDS", 0.3)
    gate = FakeGate()

    async def client(desk: GateDesk) -> None:
        for _ in range(3):
            await desk.decide(call())

    async def run() -> None:
        desk = GateDesk(cast("Gate", gate))
        clients = [asyncio.create_task(client(desk)) for _ in range(8)]
        await asyncio.sleep(0.05)
        gate.may_go.set()
        await asyncio.gather(*clients)
        desk.close()

    asyncio.run(run())
    assert gate.groups == [1, 8, 8, 7]


def test_one_who_comes_alone_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_desk, "LINGER_SECONDS", 60.0)
    gate = FakeGate()
    gate.may_go.set()

    async def run() -> None:
        desk = GateDesk(cast("Gate", gate))
        for _ in range(20):
            await asyncio.wait_for(desk.decide(call()), 30)
        desk.close()

    asyncio.run(run())
    assert gate.groups == [1] * 20


def test_those_who_keep_coming_one_by_one_are_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_desk, "LINGER_SECONDS", 0.02)
    gate = FakeGate()

    async def run() -> None:
        desk = GateDesk(cast("Gate", gate))
        many = [asyncio.create_task(desk.decide(call())) for _ in range(100)]
        await asyncio.sleep(0.01)
        gate.may_go.set()
        await asyncio.gather(*many)
        few = []
        for _ in range(20):
            few.append(asyncio.create_task(desk.decide(call())))
            await asyncio.sleep(0.01)
        await asyncio.gather(*few)
        desk.close()

    asyncio.run(run())
    assert gate.groups[:2] == [1, 99]
    assert gate.groups[2] < 20, "a hundred were expected, and were waited for five moments at most"
