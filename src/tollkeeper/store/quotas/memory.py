"""Counters and holds in memory, as plain as can be: for tests and trials, and as the yardstick of the databases."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from tollkeeper.metering.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tollkeeper.billing.counter import Counter, Hold

__all__ = ["MemoryQuotaBook", "MemoryQuotas"]


class MemoryQuotaBook:
    """The ``QuotaBook`` of one transaction, which has a copy of everything to itself."""

    def __init__(self, counters: dict[str, Counter], holds: dict[str, Hold], seq: int) -> None:
        self.all_counters = dict(counters)
        self.all_holds = dict(holds)
        self.seq = seq

    def counters(self, ids: Sequence[str]) -> dict[str, Counter]:
        """Look counters up."""
        return {counter_id: self.all_counters[counter_id] for counter_id in ids if counter_id in self.all_counters}

    def counters_of(self, subscriptions: Sequence[str], *, since: int) -> list[Counter]:
        """The counters of subscriptions; see ``QuotaBook``."""
        found = (one for one in self.all_counters.values() if one.subscription in subscriptions and one.ends_at > since)
        return sorted(found, key=lambda one: (one.subscription, one.starts_at, one.id))

    def ended(self, before: int, limit: int) -> list[Counter]:
        """Some counters whose period has ended; a rate has none."""
        found = (one for one in self.all_counters.values() if one.closed_at is None and 0 < one.ends_at <= before)
        return sorted(found, key=lambda one: (one.ends_at, one.id))[:limit]

    def put(self, counters: Sequence[Counter]) -> None:
        """Keep counters."""
        self.all_counters |= {counter.id: counter for counter in counters}

    def holds(self, ids: Sequence[str]) -> dict[str, Hold]:
        """Look holds up."""
        return {hold_id: self.all_holds[hold_id] for hold_id in ids if hold_id in self.all_holds}

    def open_holds(self, consumers: Sequence[str]) -> list[Hold]:
        """The open reservations of consumers."""
        found = (one for one in self.all_holds.values() if one.open and not one.lease and one.consumer in consumers)
        return sorted(found, key=lambda one: one.id)

    def due(self, before: int, limit: int, *, leases_only: bool = False) -> list[Hold]:
        """Some open holds that have expired."""
        found = [one for one in self.all_holds.values() if one.open and one.expires_at <= before]
        if leases_only:
            found = [one for one in found if one.lease]
        return sorted(found, key=lambda one: (one.expires_at, one.id))[:limit]

    def hold(self, holds: Sequence[Hold]) -> None:
        """Keep holds."""
        self.all_holds |= {hold.id: hold for hold in holds}

    def forget(self, before: int, limit: int) -> int:
        """Drop some holds and counters that are over."""
        old = [one for one in self.all_holds.values() if not one.open and one.expires_at < before]
        gone = sorted(old, key=lambda one: (one.expires_at, one.id))[:limit]
        for hold in gone:
            del self.all_holds[hold.id]
        ended = [one for one in self.all_counters.values() if one.closed_at and one.ends_at < before]
        short = [one.id for one in ended if one.ends_at - one.starts_at <= HOUR][:limit]
        for counter_id in short:
            del self.all_counters[counter_id]
        return len(gone) + len(short)

    def position(self) -> int:
        """Where counting stands."""
        return self.seq

    def move(self, seq: int) -> None:
        """Note where counting stands."""
        self.seq = seq


class MemoryQuotas:
    """The ``Quotas`` of one process, which end with it."""

    def __init__(self) -> None:
        self._writer = threading.Lock()
        self._book = MemoryQuotaBook({}, {}, 0)

    @contextlib.contextmanager
    def writing(self) -> Iterator[MemoryQuotaBook]:
        """Write into a copy, which becomes the truth when the block ends well."""
        with self._writer, self.reading() as book:
            yield book
            self._book = book

    @contextlib.contextmanager
    def reading(self) -> Iterator[MemoryQuotaBook]:
        """Read a copy."""
        yield MemoryQuotaBook(self._book.all_counters, self._book.all_holds, self._book.seq)

    def close(self) -> None:
        """Do nothing."""
