"""Counting what was used: events behind a position of their own are added to the counters of limits."""

from __future__ import annotations

import time
from collections import Counter as Sums
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.admission import moved
from tollkeeper.billing.counter import Counter
from tollkeeper.billing.settling import Settled, Usage, expire, settle
from tollkeeper.service.limit_counters import LimitCounters
from tollkeeper.service.limit_watch import LimitWatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tollkeeper.billing.tally import Tally
    from tollkeeper.store.protocols import QuotaBook, Quotas, RecordStore, UsageStore

__all__ = ["QuotaFolder", "expire_holds"]

MINUTE = 60_000_000
EXPIRE_AT_ONCE = 1_000


class _Used(Struct, frozen=True):
    """Units (millionths) that a consumer used of an endpoint, and the counters that they count in."""

    consumer: str
    endpoint: str | None
    units: int
    counters: list[Counter]


class QuotaFolder:
    """Counts events that the gate has not counted, each once, whoever else does the same; belongs to one thread."""

    def __init__(self, events: UsageStore, catalog: RecordStore, quotas: Quotas) -> None:
        self._events = events
        self._catalog = catalog
        self._quotas = quotas
        self._watch = LimitWatch(catalog)

    def fold(self, limit: int) -> int:
        """Count up to ``limit`` events, and settle the reservations that were made for them; how many events.

        Counters, reservations and the position change in one transaction, only if nobody else has moved the position.
        Where nobody has a limit, all events are passed over at once.
        """
        with self._quotas.reading() as book:
            position = book.position()
        # Looked up before the limits are: what is passed over was there when nobody had one.
        last = self._events.last_seq()
        used: list[_Used] = []
        if last <= position:
            return 0
        if not self._watch.is_free():
            tallies, last = self._events.tally(position, limit, step=MINUTE)
            used = self._attribute(tallies, position, last)
        with self._quotas.writing() as book:
            if book.position() != position:
                return 0
            _count(book, used)
            book.move(last)
        return last - position

    def _attribute(self, tallies: Sequence[Tally], after: int, last: int) -> list[_Used]:
        known = LimitCounters(self._catalog, {tally.call.consumer or "" for tally in tallies})
        turning = {tally.call for tally in tallies if not known.is_steady(tally.call, tally.first, tally.last)}
        steady = [tally for tally in tallies if tally.call not in turning]
        if turning:  # within a minute, which is rare
            finer, _ = self._events.tally(after, last - after, step=1)
            steady += [tally for tally in finer if tally.call in turning]
        return [
            _Used(tally.call.consumer or "", tally.call.endpoint, tally.units, known.counters(tally.call, tally.first))
            for tally in steady
        ]


def expire_holds(quotas: Quotas, now: int | None = None) -> int:
    """Give back what holds keep free that have expired by now (µs); how many there were."""
    now = time.time_ns() // 1_000 if now is None else now
    ended = 0
    while _is_due(quotas, now):
        with quotas.writing() as book:
            settled = [expire(hold) for hold in book.due(now, EXPIRE_AT_ONCE)]
            _put(book, {}, settled)
        ended += len(settled)
    return ended


def _is_due(quotas: Quotas, now: int) -> bool:
    # Asked often, and rarely so: who only reads is in nobody's way.
    with quotas.reading() as book:
        return bool(book.due(now, 1))


def _count(book: QuotaBook, used: Sequence[_Used]) -> None:
    used = [one for one in used if one.counters]
    if not used:
        return
    reported: Sums[Usage] = Sums()
    added: Sums[str] = Sums()
    fresh: dict[str, Counter] = {}
    for one in used:
        counted_in = frozenset(counter.id for counter in one.counters)
        reported[Usage(one.consumer, one.endpoint, counted_in)] += one.units
        for counter in one.counters:
            added[counter.id] += one.units
            fresh[counter.id] = counter
    present = book.counters(list(added))
    counted = {
        counter_id: moved(_as_of_now(present.get(counter_id), fresh[counter_id]), used=units)
        for counter_id, units in added.items()
    }
    holds = book.open_holds(sorted({usage.consumer for usage in reported}))
    _put(book, counted, settle(holds, reported))


def _as_of_now(present: Counter | None, fresh: Counter) -> Counter:
    """A counter whose period may end at another time by now, since the plan was changed."""
    return fresh if present is None else replace(present, ends_at=fresh.ends_at)


def _put(book: QuotaBook, counters: dict[str, Counter], settled: Iterable[Settled]) -> None:
    """Keep counters and holds, with what the holds gave back taken out of the counters."""
    changed = list(settled)
    others = sorted({counter_id for one in changed for counter_id in one.hold.counters} - counters.keys())
    counters = counters | book.counters(others)
    for counter_id, units in _given_back(changed):
        if counter_id in counters:
            counters[counter_id] = moved(counters[counter_id], held=-units)
    book.put(list(counters.values()))
    book.hold([one.hold for one in changed])


def _given_back(settled: Iterable[Settled]) -> Iterator[tuple[str, int]]:
    for one in settled:
        for counter_id in one.hold.counters:
            yield counter_id, one.units
