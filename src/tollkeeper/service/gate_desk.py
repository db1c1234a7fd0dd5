"""Asking the gate: on leases for calls that come often; many of the others share one durable transaction."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from tollkeeper.errors import StoreError
from tollkeeper.service.leased_calls import LeasedCalls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tollkeeper.events.lease import LeaseAnswer, LeaseRequest
    from tollkeeper.service.gate import Decision, Gate, GateCall

    Pending = tuple[GateCall, asyncio.Future[Decision]]

__all__ = ["GateDesk"]

GROUP_CALLS = 1_000
WAITING_CALLS = 20_000
LINGER_SECONDS = 0.001
LINGER_MOMENTS = 5
QUOTA_EXCEEDED = "quota_exceeded"
T = TypeVar("T")


class GateDesk:
    """Gathers the calls that arrive while others are being decided, and has them decided together next.

    Belongs to one event loop; the gate is asked on one thread. When the store fails, nothing is tried again, because it
    may have gone through, and nothing must be counted twice: all calls of that transaction fail. A call that fails for
    another reason fails alone. Of the ``folder`` see ``LeasedCalls``.
    """

    def __init__(self, gate: Gate, folder: Path | None = None) -> None:
        self._gate = gate
        self._leased = LeasedCalls(gate, folder)
        self._pending: list[Pending] = []
        self._deciding = False
        self._expected = 1
        self._lingering: asyncio.TimerHandle | None = None
        self._exchanging = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tollkeeper-gate")

    async def decide(self, call: GateCall) -> Decision:
        """Decide whether a call may be made; what it counts outlives this process then.

        Before it is refused for a quota, or told where limits stand, the leases of this process are given back. What
        cannot be decided is as its plan says, and counts nothing. Raises StoreError where that is to refuse it, or the
        plan is not remembered, or too many calls wait.
        """
        decision = self._leased.decide(call)
        if decision is not None:
            return decision
        if not call.units:
            await self._leased.give_back(call)
        decision = await self._decide_together(call)
        if decision.denial is not None and decision.denial.code == QUOTA_EXCEEDED:
            return await self._decide_together(call) if await self._leased.give_back(call) else decision
        self._leased.note(call, decision)
        return decision

    async def _decide_together(self, call: GateCall) -> Decision:
        self._check_waiting()
        future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._pending.append((call, future))
        if not self._deciding and (self._lingering is None or len(self._pending) >= self._expected):
            self._gather()
        return await future

    async def exchange(self, request: LeaseRequest) -> LeaseAnswer:
        """Settle and take leases; see ``Gate.exchange``. Raises StoreError, also when too many wait."""
        return await self._apart(lambda: self._gate.exchange(request))

    async def release(self, hold: str) -> bool:
        """Give a reservation back; see ``Gate.release``. Raises StoreError, also when too many wait."""
        return await self._apart(lambda: self._gate.release(hold))

    def open(self) -> None:
        """Settle in the background what processes left that were killed."""
        self._leased.open()

    def close(self) -> None:
        """Give leases back, and wait for what is under way."""
        self._leased.close()
        self._thread.shutdown()

    def _check_waiting(self) -> None:
        if len(self._pending) + self._exchanging >= WAITING_CALLS:
            raise StoreError("Too many calls wait for the gate: ask again in a moment.", code="overloaded")

    async def _apart(self, ask: Callable[[], T]) -> T:
        """Ask the gate for what is a transaction of its own."""
        self._check_waiting()
        self._exchanging += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, ask)
        finally:
            self._exchanging -= 1

    def _gather(self, lingered: int = 0, known: int = -1) -> None:
        """Start when as many wait as are expected, or a moment brings no more of them."""
        waiting = len(self._pending)
        if waiting >= self._expected or waiting == known or lingered == LINGER_MOMENTS:
            self._start()
        else:
            loop = asyncio.get_running_loop()
            self._lingering = loop.call_later(LINGER_SECONDS, self._gather, lingered + 1, waiting)

    def _start(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        self._deciding = True
        group, self._pending = self._pending[:GROUP_CALLS], self._pending[GROUP_CALLS:]
        calls = [call for call, _ in group]
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._decide, calls)
        done.add_done_callback(lambda finished: self._finish(group, finished))

    def _finish(self, group: list[Pending], finished: asyncio.Future[list[Decision | Exception]]) -> None:
        for (_, future), outcome in zip(group, finished.result(), strict=True):
            if future.done():  # whoever asked is gone
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        self._deciding = False
        self._expected = min(len(group) + len(self._pending), GROUP_CALLS)
        if self._pending:
            self._gather()

    def _decide(self, calls: list[GateCall]) -> list[Decision | Exception]:
        """Runs on the thread of the gate."""
        try:
            return list(self._gate.decide(calls))
        except StoreError as error:
            return [self._gate.undecided(call) or error for call in calls]
        except Exception as error:  # noqa: BLE001  # each caller must get an answer, whatever went wrong
            return [error] if len(calls) == 1 else [outcome for call in calls for outcome in self._decide([call])]
