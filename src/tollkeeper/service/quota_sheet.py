"""What one transaction does to counters and holds: read once, worked out in memory, written once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.admission import caught_up, find_refusal, moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.billing.admission import Refusal
    from tollkeeper.billing.bounds import Bounds
    from tollkeeper.billing.counter import Counter, Hold
    from tollkeeper.store.protocols import QuotaBook

__all__ = ["QuotaSheet"]

EXPIRED_AT_ONCE = 2_000


class QuotaSheet:
    """The counters and holds that a transaction works with; ``now`` (µs) is the one time of all that happens in it."""

    def __init__(self, book: QuotaBook, now: int) -> None:
        self._book = book
        self.now = now
        self.counters: dict[str, Counter] = {}
        self._read: set[str] = set()
        self._counted: set[str] = set()
        self._holds: dict[str, Hold] = {}
        self._none_due = False

    def load(self, counter_ids: Iterable[str]) -> None:
        """Read the counters that have not been read yet."""
        wanted = set(counter_ids) - self._read
        if wanted:
            self._read |= wanted
            self.counters |= self._book.counters(sorted(wanted))

    def load_holds(self, hold_ids: Sequence[str]) -> dict[str, Hold]:
        """Read holds, with their counters."""
        found = self._book.holds(hold_ids)
        self.load(counter for hold in found.values() for counter in hold.counters)
        return found

    def count(self, counters: Iterable[Counter]) -> None:
        """Put counters in the place of those with their ids."""
        for counter in counters:
            self.counters[counter.id] = counter
            self._counted.add(counter.id)

    def move(self, counter_ids: Iterable[str], *, used: int = 0, held: int = 0) -> None:
        """Let counters that are there have so much more used and held, or less."""
        known = (self.counters[counter_id] for counter_id in counter_ids if counter_id in self.counters)
        self.count([moved(counter, used=used, held=held) for counter in known])

    def hold(self, hold: Hold) -> None:
        """Put a hold in the place of the one with its id."""
        self._holds[hold.id] = hold

    def refusal(self, bounds: Bounds, units: int) -> Refusal | None:
        """Why units (millionths) may not be used, once leases that are over have come back; None when they may."""
        self.count(caught_up(bounds, self.counters, self.now))
        refusal = find_refusal(bounds, self.counters, units, self.now)
        while refusal is not None and refusal.held and self.expire():
            refusal = find_refusal(bounds, self.counters, units, self.now)
        return refusal

    def close(self, hold: Hold, *, final: bool) -> Hold:
        """Close a hold: what it holds still is free again.

        With ``final`` nothing more can be heard of it, and it need not be remembered.
        """
        if hold.open:
            self.move(hold.counters, held=hold.used - hold.units)
        closed = replace(hold, open=False, expires_at=0 if final else hold.expires_at)
        self.hold(closed)
        return closed

    def expire(self) -> bool:
        """Write what was changed, and close some of the leases that are due; whether there were any."""
        if self._none_due:
            return False
        self.save()
        # Of a reservation the leader says when it is over, which knows what has been reported.
        due = self._book.due(self.now, EXPIRED_AT_ONCE, leases_only=True)
        self._none_due = len(due) < EXPIRED_AT_ONCE
        self.load(counter for hold in due for counter in hold.counters)
        for hold in due:
            self.close(hold, final=False)  # it may be said yet what was used of it
        self.save()
        return bool(due)

    def save(self) -> None:
        """Write what was changed."""
        if self._counted:
            self._book.put([self.counters[counter_id] for counter_id in sorted(self._counted)])
        if self._holds:
            self._book.hold(list(self._holds.values()))
        self._counted, self._holds = set(), {}
