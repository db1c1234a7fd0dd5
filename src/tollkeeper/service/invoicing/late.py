"""Which customers' earlier invoices have become too small or too large: by late events, and by what was made since."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.events.timestamps import from_microseconds, to_microseconds
from tollkeeper.metering.usage import Filters, UsageQuery
from tollkeeper.metering.window import DAY
from tollkeeper.store.protocols import EventSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tollkeeper.billing.statement import ChargedPart
    from tollkeeper.store.protocols import EventStore

__all__ = ["LastBill", "Late", "RouteName", "Span", "late_spans"]

Span = tuple[datetime, datetime]
RouteName = tuple[str | None, str | None]
"""Endpoint and method as a route has them; None is any."""
MICROSECOND = timedelta(microseconds=1)
FEW = 20


class LastBill(Struct, frozen=True, kw_only=True):
    """The newest month that was billed of a customer: events up to ``until`` are in it, and times before ``end``.

    ``keys`` are all of the customer, ``new_keys`` those that were made since; calls of ``new_routes`` may have
    another price since. ``spans`` are times whose bills are known to be wrong now.
    """

    customer: str
    month: str
    until: int
    end: datetime
    keys: tuple[str, ...]
    new_keys: tuple[str, ...] = ()
    new_routes: frozenset[RouteName] = frozenset()
    spans: tuple[Span, ...] = ()


class Late(Struct, frozen=True):
    """Times whose bills have to be worked out anew, in parts that end behind the beginning of the month ``first``."""

    first: str
    spans: tuple[Span, ...]

    def touches(self, part: ChargedPart) -> bool:
        """Whether a part is to be rated again."""
        return any(start < part.end and part.start < end for start, end in self.spans)


def late_spans(events: EventStore, bills: Sequence[LastBill], *, start: datetime, until: int) -> dict[str, list[Span]]:
    """By customer, the times from ``start`` on whose bills have to be worked out anew, up to the event ``until``.

    It reads what came since, once for all customers that were billed last for the same month.
    """
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    by_month: defaultdict[str, list[LastBill]] = defaultdict(list)
    for bill in bills:
        if bill.keys:
            by_month[bill.month].append(bill)
    for group in by_month.values():
        for customer, span in _late_events(events, group, start, until):
            spans[customer].append(span)
    called = _called(events, bills, start)
    for bill in bills:
        spans[bill.customer] += bill.spans
        for key in bill.new_keys:
            if called is None or key in called:
                spans[bill.customer] += _calls_of(events, Filters(consumer=key), start, bill.end)
    for bill, filters in _newly_priced(events, bills, start):
        spans[bill.customer] += _calls_of(events, filters, start, bill.end)
    return {customer: found for customer, found in spans.items() if found}


def _late_events(
    events: EventStore, bills: Sequence[LastBill], start: datetime, until: int
) -> Iterable[tuple[str, Span]]:
    span = EventSpan(
        start=to_microseconds(start),
        end=to_microseconds(max(bill.end for bill in bills)),
        after=min(bill.until for bill in bills),
        until=until,
        whole=False,
    )
    if span.after >= until:
        return
    first: dict[int, datetime] = {}
    last: dict[int, datetime] = {}
    with events.walk(span, [bill.keys for bill in bills]) as found:
        for place, stored in found:
            if stored.seq > bills[place].until and stored.event.time < bills[place].end:
                first.setdefault(place, stored.event.time)
                last[place] = stored.event.time
    for place, begin in first.items():
        yield bills[place].customer, (begin, last[place] + MICROSECOND)


def _called(events: EventStore, bills: Sequence[LastBill], start: datetime) -> set[str] | None:
    """The keys that were used, in one query, where there are too many new ones to ask for each; else None."""
    if sum(len(bill.new_keys) for bill in bills) <= FEW:
        return None
    return _callers(events, Filters(), start, max(bill.end for bill in bills))


def _newly_priced(events: EventStore, bills: Sequence[LastBill], start: datetime) -> Iterator[tuple[LastBill, Filters]]:
    """Whose calls before the end of a bill may cost something else since it was made, and which these are."""
    by_route: defaultdict[RouteName, list[LastBill]] = defaultdict(list)
    for bill in bills:
        for route in bill.new_routes:
            by_route[route].append(bill)
    for (endpoint, method), concerned in by_route.items():
        filters = Filters(route=endpoint, method=method)
        called = _callers(events, filters, start, max(bill.end for bill in concerned))
        for bill in concerned:
            yield from ((bill, replace(filters, consumer=key)) for key in bill.keys if key in called)


def _callers(events: EventStore, filters: Filters, start: datetime, end: datetime) -> set[str]:
    """The keys that were used."""
    first, last = to_microseconds(start) // DAY * DAY, -(-to_microseconds(end) // DAY) * DAY
    rows = events.usage(UsageQuery(start=first, end=last, group_by=("consumer",), filters=filters))
    return {row.key[0][0] for row in rows if isinstance(row.key[0], tuple)}


def _calls_of(events: EventStore, filters: Filters, start: datetime, end: datetime) -> list[Span]:
    """When a key was used, by the day: it was registered, or its calls were priced, after they were billed."""
    first, last = to_microseconds(start) // DAY * DAY, -(-to_microseconds(end) // DAY) * DAY
    rows = events.usage(UsageQuery(start=first, end=last, step=DAY, filters=filters))
    days = [row.start for row in rows]
    return [(from_microseconds(min(days)), from_microseconds(max(days) + DAY))] if days else []
