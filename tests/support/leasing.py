"""A service of leases in this process: one quota for all, and whatever may go wrong."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Literal

from tollkeeper.events.lease import Denial, Grant, LeaseAnswer, LimitState
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from tollkeeper.events.lease import LeaseRequest, Take

__all__ = ["MICRO", "Bank", "BankSink"]

MICRO = 1_000_000


class Bank:
    """Leases out ``room`` units as the service does: a quarter at most, one at least. ``used`` is what it was told.

    What it was asked is in ``requests``. While ``failing`` is set it raises that; while ``hold`` is cleared it does not
    answer. ``grants`` are given in turn, in the place of its own.
    """

    def __init__(
        self, room: int = 1000, *, seconds: float = 10.0, on_failure: Literal["admit", "deny"] = "admit"
    ) -> None:
        self.room = room * MICRO
        self.seconds = seconds
        self.on_failure = on_failure
        self.revision = "1"
        self.grants: list[Grant] = []
        self.failing: Exception | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.requests: list[LeaseRequest] = []
        self.open: dict[str, tuple[int, int]] = {}
        self.used = 0
        self.closed = 0
        self.place = "bank"
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    @property
    def takes(self) -> list[Take]:
        """All that was asked for so far."""
        return [take for request in list(self.requests) for take in request.take]

    def exchange(self, request: LeaseRequest) -> LeaseAnswer:
        """Settle, and then grant."""
        self.hold.wait(20)
        if self.failing is not None:
            raise self.failing
        with self._lock:
            self.requests.append(request)
            for settle in request.settle:
                units, known = self.open.get(settle.lease, (0, 0))
                used = max(known, min(settle.used, units))
                self.used += used - known
                self.open[settle.lease] = (units, used)
                if settle.release:
                    self.room += units - used
                    del self.open[settle.lease]
            return LeaseAnswer(revision=self.revision, grants=[self._grant(take) for take in request.take])

    def close(self) -> None:
        """Count it."""
        self.closed += 1

    def _grant(self, take: Take) -> Grant:
        if self.grants:
            return self.grants.pop(0)
        units = min(take.units, max(self.room // 4 // MICRO, 1) * MICRO)
        limits = [LimitState(name="all month", quota=1000 * MICRO, window=86_400, remaining=self.room, resets=60)]
        if self.room < MICRO:
            full = Denial(status=429, code="quota_exceeded", detail="The quota has no room.", retry_after=60)
            return Grant(seconds=1, denial=full, plan="basic", on_failure=self.on_failure, limits=limits)
        self.room -= units
        limits = [LimitState(name="all month", quota=1000 * MICRO, window=86_400, remaining=self.room, resets=60)]
        name = f"lea_{next(self._numbers)}"
        self.open[name] = (units, 0)
        return Grant(
            seconds=self.seconds, lease=name, units=units, plan="basic", on_failure=self.on_failure, limits=limits
        )


class BankSink(MemorySink):
    """A sink whose gate takes its leases from a bank."""

    def __init__(self, bank: Bank) -> None:
        super().__init__()
        self._bank = bank

    def leases(self, _seconds: float) -> Bank:  # type: ignore[override]  # another source of leases
        """Take leases at the bank."""
        return self._bank
