"""Calls that come often are decided in the process that is asked, on leases that it takes of the gate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.lease import LeaseAnswer, LeaseRequest, LimitState
from tollkeeper.leases.desk import Desk
from tollkeeper.leases.waiter import waiter_for
from tollkeeper.log import QuietLog
from tollkeeper.service.gate import Decision
from tollkeeper.service.leases import LEAST_BLOCK

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper.leases.lease import CallKey, Verdict
    from tollkeeper.service.gate import Gate, GateCall

__all__ = ["LeasedCalls"]

OFTEN = 4
"""Calls in a second from which on a lease is worth it."""
OFTEN_SECONDS = 1.0
FIRST_BLOCK = 1_000_000_000
"""Millionths to ask for, before it is known how much is used."""
KEYS_REMEMBERED = 10_000
IDLE_SECONDS = 0.5
GATHER_SECONDS = 0.4
GIVE_BACK_SECONDS = 2.0
GIVE_BACKS = 3
"""What was being taken while the rest was given back is given back, too."""


class LeasedCalls:
    """Admits calls on the leases of this process, and refuses none: where no lease holds, the gate itself decides.

    What is used is in a file below ``folder`` before the answer, so that it is settled when this process is killed.
    Belongs to one event loop; nothing of it raises.
    """

    def __init__(self, gate: Gate, folder: Path | None) -> None:
        self._desk = Desk(
            _Source(gate.exchange),
            folder,
            QuietLog(),
            idle_seconds=IDLE_SECONDS,
            least=LEAST_BLOCK,
            gather_seconds=GATHER_SECONDS,
        )
        self._often: dict[CallKey, int] = {}
        self._often_since = 0.0
        self._key = lru_cache(KEYS_REMEMBERED)(_key)

    def open(self) -> None:
        """Settle what processes before this one left, in the background."""
        self._desk.adopt()

    def close(self) -> None:
        """Give all leases back, as far as the store takes them in the time that a shutdown has."""
        self._desk.close()

    def decide(self, call: GateCall) -> Decision | None:
        """Admit a call and count it; None when the gate is to decide."""
        if call.reserve or not call.units or not call.secret:
            return None
        now = time.monotonic()
        with self._desk.lock:
            verdict = self._desk.book.decide(self._key(call), call.units, now)
        if verdict is None or verdict.denial is not None:
            return None
        return _decision(verdict, now)

    def note(self, call: GateCall, decision: Decision) -> None:
        """Take a lease for calls like one that the gate has admitted, when there are many of them."""
        if not decision.leasable or not call.units:
            return
        now = time.monotonic()
        if now - self._often_since > OFTEN_SECONDS:
            self._often.clear()
            self._often_since = now
        key = self._key(call)
        self._often[key] = self._often.get(key, 0) + 1
        if self._often[key] >= OFTEN:
            self._desk.ask(key, max(FIRST_BLOCK, call.units), None)

    async def give_back(self, call: GateCall) -> bool:
        """Give back all leases of the maker of a call, so that the gate sees all there is; whether there were any."""
        consumer, given = fingerprint(call.secret or ""), False
        for _ in range(GIVE_BACKS):
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiter = waiter_for(future)
            if not self._desk.give_back(consumer, waiter):
                break
            done, _pending = await asyncio.wait([future], timeout=GIVE_BACK_SECONDS)
            if waiter.failed or not done:
                break
            given = True
        return given


class _Source(Struct, frozen=True):
    """The gate as leases come from it in its own process; it is closed with the service, and not by who leases."""

    exchange: Callable[[LeaseRequest], LeaseAnswer]

    def close(self) -> None:
        """Do nothing."""


def _key(call: GateCall) -> CallKey:
    return (fingerprint(call.secret or ""), call.api, call.api_version, call.endpoint, call.method)


def _decision(verdict: Verdict, now: float) -> Decision:
    grant = verdict.grant
    if grant is None:
        return Decision()
    left, passed = verdict.left, now - verdict.since
    return Decision(
        customer=grant.customer,
        plan=grant.plan,
        limits=[
            LimitState(
                name=limit.name,
                quota=limit.quota,
                window=limit.window,
                remaining=limit.remaining + left,
                resets=limit.resets - passed,
            )
            for limit in grant.limits
        ],
    )
