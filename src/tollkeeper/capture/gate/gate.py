"""Whether a call may be made: decided at once on what the process holds, else with one bounded wait for the service."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Literal

from tollkeeper.events.lease import Denial
from tollkeeper.leases.desk import Desk
from tollkeeper.leases.lease import UNCOUNTED, Verdict
from tollkeeper.leases.waiter import Waiter, waiter_for

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from tollkeeper.leases.desk import Leases
    from tollkeeper.leases.lease import CallKey, Lease
    from tollkeeper.log import QuietLog

__all__ = ["Gate"]

UNDECIDED = Verdict(
    counted=True,
    denial=Denial(
        status=503,
        code="gate_unavailable",
        detail="Whether this call may be made cannot be told now: call again later.",
        retry_after=1.0,
    ),
)


class Gate:
    """Decides about calls; safe in threads, and nothing of it raises.

    ``timeout`` is how many seconds a call may wait for the service in all; ``on_failure`` decides while the service is
    away and the plan has said nothing. While it answers others, keys that nobody vouched for are refused. Of a
    ``folder`` see ``Desk``.
    """

    def __init__(
        self,
        leases: Leases,
        log: QuietLog,
        *,
        timeout: float = 1.0,
        folder: Path | None = None,
        on_failure: Literal["admit", "deny"] = "admit",
    ) -> None:
        self._desk = Desk(leases, folder, log)
        self._log = log
        self._timeout = timeout
        self._on_failure = on_failure

    def decide(self, key: CallKey, units: int) -> Verdict | None:
        """Decide at once, and count the call; None when the service is to be asked."""
        desk = self._desk
        with desk.lock:
            return desk.book.decide(key, units, time.monotonic())

    def admit(self, key: CallKey, units: int) -> Verdict:
        """Decide about a call, and count it."""
        if "uwsgi" in sys.modules:
            self._desk.follow_fork()
        verdict = self.decide(key, units)
        until = time.monotonic() + self._timeout
        while verdict is None:
            event = threading.Event()
            waiter = Waiter(event.set)
            if not self._ask(key, units, waiter):
                return self._undecided(key)
            told = event.wait(max(0.0, until - time.monotonic()))
            verdict = self._again(key, units, waiter, told=told, until=until)
        return verdict

    async def admit_async(self, key: CallKey, units: int) -> Verdict:
        """The same on an event loop of asyncio; on another one nobody waits."""
        verdict = self.decide(key, units)
        if verdict is not None:
            return verdict
        import asyncio  # noqa: PLC0415 - apps that have no event loop do without

        until = time.monotonic() + self._timeout
        while verdict is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                self._desk.ask(key, units, None)
                return self._undecided(key)
            future: asyncio.Future[None] = loop.create_future()
            waiter = waiter_for(future)
            if not self._ask(key, units, waiter):
                return self._undecided(key)
            done, _ = await asyncio.wait([future], timeout=max(0.0, until - time.monotonic()))
            verdict = self._again(key, units, waiter, told=bool(done), until=until)
        return verdict

    def failed(self, error: Exception) -> Verdict:
        """Decide about a call that could not even be asked about."""
        self._log.tell("gate_undecided", "Tollkeeper's gate cannot decide about a call.", error=error)
        return UNDECIDED if self._on_failure == "deny" else UNCOUNTED

    def adjust(self, lease: Lease, units: int) -> bool:
        """Count so many units more of a call that a lease admitted, or fewer; False when that cannot be."""
        with self._desk.lock:
            return self._desk.book.adjust(lease, units)

    def release(self) -> bool:
        """Give all leases back, as an app does that is about to end; False when the service did not hear of it."""
        return self._desk.release(self._timeout)

    def close(self) -> None:
        """Give all leases back and stop; calls that come later are decided by ``on_failure``."""
        self._desk.close()

    def _ask(self, key: CallKey, units: int, waiter: Waiter) -> bool:
        down = self._desk.down  # then nobody waits: the thread asks again in its own time
        return self._desk.ask(key, units, None if down else waiter) and not down

    def _again(self, key: CallKey, units: int, waiter: Waiter, *, told: bool, until: float) -> Verdict | None:
        """Decide after a wait; None when it is worth another one."""
        verdict = self.decide(key, units)
        if verdict is not None:
            return verdict
        if told and not waiter.failed and time.monotonic() < until:
            return None
        if not told and self._desk.answered < until - self._timeout:  # others were not answered either
            self._desk.down = True  # until it answers: whoever comes next need not wait as long
        return self._undecided(key)

    def _undecided(self, key: CallKey) -> Verdict:
        with self._desk.lock:
            policy = self._desk.book.policies.of(key[0])
        if policy is None:  # else whoever invents enough keys would get in while the service is busy with them
            policy = "deny" if self._desk.answers else self._on_failure
        told = "refuses" if policy == "deny" else "admits"
        self._log.tell("gate_undecided", "Tollkeeper's gate %s calls undecided: it has no word of the service.", told)
        return UNDECIDED if policy == "deny" else UNCOUNTED
