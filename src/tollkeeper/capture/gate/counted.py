"""What the gate has counted of a request, for the event of it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.gate.gate import Gate
    from tollkeeper.leases.lease import Lease, Verdict

__all__ = ["Counted", "note_units", "note_verdict"]

MICRO = 1_000_000


class Counted:
    """Units (millionths) that were counted on a lease; none of them when the call was refused."""

    __slots__ = ("_gate", "_lease", "_units")

    def __init__(self, gate: Gate, lease: Lease | None, units: int) -> None:
        self._gate = gate
        self._lease = lease
        self._units = units

    @property
    def refused(self) -> bool:
        """Whether the call was refused, so that it counts nothing, whatever is said of it later."""
        return self._lease is None

    def recount(self, units: Decimal) -> Counted | None:
        """Count so many units instead; None when that cannot be, so that the event is to count all of them."""
        wanted = int(units * MICRO)
        if self._lease is None or self._gate.adjust(self._lease, wanted - self._units):
            self._units = wanted
            return self
        if wanted <= self._units:  # the service was told of more already, and the event would add to that
            return self
        self._gate.adjust(self._lease, -self._units)
        return None


def note_verdict(exchange: Exchange, verdict: Verdict, gate: Gate, units: int) -> None:
    """Note on an exchange what the gate has counted of it: nothing of a call that is refused, which counts nothing."""
    if verdict.denial is not None:
        exchange.units = Decimal(0)
        exchange.gated = Counted(gate, None, 0)
        return
    if units != MICRO:
        exchange.units = Decimal(units) / MICRO if units else None
    if verdict.counted:
        exchange.gated = Counted(gate, verdict.lease, units)


def note_units(exchange: Exchange, units: int) -> None:
    """Let a call that was counted already count so many units; with 0 of them, its event is to count."""
    if not units:
        exchange.gated.recount(Decimal(0))
        exchange.gated = None
    elif units != MICRO or exchange.units is not None:
        exchange.set_units(Decimal(units) / MICRO)
