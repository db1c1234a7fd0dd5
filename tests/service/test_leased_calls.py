"""Calls that come often are decided on leases in the worker: strictly, and without holding what nobody uses."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.gated import UNIT, Client, Gated
from support.stores import store_url
from tollkeeper.errors import StoreError
from tollkeeper.service.gate import Decision, Gate, GateCall
from tollkeeper.service.gate_desk import GateDesk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

PATIENCE = 10.0


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Gated]:
    found = Gated(store_url("sqlite", tmp_path))
    yield found
    found.close()


class Watched:
    """A gate that counts the calls that reach it, and fails as long as it is told to."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.decided = 0
        self.failing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gate, name)

    def decide(self, calls: Sequence[GateCall]) -> list[Decision]:
        self.decided += len(calls)
        if self.failing:
            raise StoreError("away")
        return self._gate.decide(calls)


def served(gated: Gated, folder: Path, run: Callable[[GateDesk, Watched], Awaitable[None]]) -> None:
    """Run something with a desk, which is closed then."""

    async def main() -> None:
        gate = Watched(gated.gate)
        desk = GateDesk(gate, folder)  # type: ignore[arg-type]  # stands in for the gate
        try:
            await asyncio.wait_for(run(desk, gate), 60)
        finally:
            desk.close()

    asyncio.run(main())


async def hot(desk: GateDesk, gate: Watched, call: GateCall) -> int:
    """Ask until calls are decided without the gate; how many were admitted."""
    admitted, until = 0, time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < until, "no lease is taken"
        before = gate.decided
        decision = await desk.decide(call)
        assert decision.denial is None
        admitted += 1
        if gate.decided == before:
            return admitted
        await asyncio.sleep(0.01)


def call_of(client: Client, endpoint: str | None = None) -> GateCall:
    return GateCall(secret=client.secret, endpoint=endpoint)


def test_who_calls_often_is_decided_on_a_lease_and_told_the_same(gated: Gated, tmp_path: Path) -> None:
    client = gated.client(limits=[{"limit": 10_000}])

    async def run(desk: GateDesk, gate: Watched) -> None:
        first = await desk.decide(call_of(client))
        asked = 1 + await hot(desk, gate, call_of(client))
        on_lease = await desk.decide(call_of(client))
        assert (on_lease.customer, on_lease.plan) == (first.customer, first.plan)
        (before,), (state,) = first.limits, on_lease.limits
        assert (state.name, state.quota, state.window) == (before.name, before.quota, before.window)
        (told,) = (await desk.decide(GateCall(secret=client.secret, units=0))).limits
        assert told.remaining == (10_000 - asked - 1) * UNIT, (
            "leases are given back before it is said where limits stand"
        )
        # A call that the gate decided while the lease was on its way is not in what came with it.
        assert state.remaining - told.remaining in {0, UNIT}

    served(gated, tmp_path / "gate", run)
    used, held = gated.counted(client)
    assert (used > 5, held) == (True, 0), "a desk that is closed has settled, and given back"


def test_who_calls_seldom_is_decided_by_the_gate(gated: Gated, tmp_path: Path) -> None:
    client = gated.client(limits=[{"limit": 10_000}])

    async def run(desk: GateDesk, gate: Watched) -> None:
        for _ in range(3):
            await desk.decide(call_of(client))
        await asyncio.sleep(0.1)
        await desk.decide(call_of(client))
        assert gate.decided == 4

    served(gated, tmp_path / "gate", run)
    assert gated.counted(client) == (4, 0)


@pytest.mark.parametrize(
    "sold", [{"limits": [{"limit": 60}]}, {"limits": [{"limit": 10_000}], "rates": [{"rate": 1000, "per": "second"}]}]
)
def test_near_a_limit_and_under_a_rate_the_gate_decides(gated: Gated, tmp_path: Path, sold: dict[str, Any]) -> None:
    client = gated.client(**sold)

    async def run(desk: GateDesk, gate: Watched) -> None:
        for number in range(40):
            assert (await desk.decide(call_of(client))).denial is None
            assert gate.decided == number + 1
            await asyncio.sleep(0.002)

    served(gated, tmp_path / "gate", run)


def test_what_a_worker_holds_refuses_nobody_who_asks_there(gated: Gated, tmp_path: Path) -> None:
    client = gated.client(limits=[{"limit": 300}])

    async def run(desk: GateDesk, gate: Watched) -> None:
        admitted = await hot(desk, gate, call_of(client, "/orders"))
        while (decision := await desk.decide(call_of(client))).denial is None:
            admitted += 1
        assert (admitted, decision.denial.code) == (300, "quota_exceeded")

    served(gated, tmp_path / "gate", run)
    assert gated.counted(client) == (300, 0)


def test_what_nobody_uses_is_given_back_within_a_second(gated: Gated, tmp_path: Path) -> None:
    client = gated.client(limits=[{"limit": 10_000}])

    async def run(desk: GateDesk, gate: Watched) -> None:
        await hot(desk, gate, call_of(client))
        assert gated.counted(client)[1] > 0
        await asyncio.sleep(1.5)
        assert gated.counted(client)[1] == 0

    served(gated, tmp_path / "gate", run)


def test_a_lease_outlives_a_store_that_fails(gated: Gated, tmp_path: Path) -> None:
    client = gated.client(limits=[{"limit": 10_000}])

    async def run(desk: GateDesk, gate: Watched) -> None:
        await hot(desk, gate, call_of(client))
        gate.failing = True
        assert (await desk.decide(call_of(client))).limits
        assert (await desk.decide(GateCall(secret=client.secret, reserve=True))).limits == [], "as the plan says"

    served(gated, tmp_path / "gate", run)


KILLED = """
import asyncio, sys
from pathlib import Path
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.gate import GateCall
from tollkeeper.service.gate_desk import GateDesk
from tollkeeper.settings import Settings


async def main():
    desk = GateDesk(open_service(Settings(store=sys.argv[1])).gate, Path(sys.argv[2]))
    for number in range(200):
        decision = await desk.decide(GateCall(secret=sys.argv[3]))
        assert decision.denial is None
        await asyncio.sleep(0.002)
    print("ready", flush=True)
    sys.stdin.read()


asyncio.run(main())
"""


def test_the_next_worker_settles_for_one_that_was_killed(gated: Gated, tmp_path: Path) -> None:
    client, folder = gated.client(limits=[{"limit": 10_000}]), tmp_path / "gate"
    command = [sys.executable, "-c", KILLED, gated.service.settings.store, str(folder), client.secret]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)

    async def run(desk: GateDesk, _: Watched) -> None:
        desk.open()
        until = time.monotonic() + PATIENCE
        while gated.counted(client) != (200, 0):
            assert time.monotonic() < until, gated.counted(client)
            await asyncio.sleep(0.02)

    served(gated, folder, run)
