"""The usage behind the charts of a page: one query, one bucket per step, split by class of status."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from msgspec import Struct

from tollkeeper.metering.sketch import merge_sketches
from tollkeeper.metering.usage import Totals, UsageQuery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.dashboard.ranges import Range
    from tollkeeper.metering.usage import Filters, UsageRow
    from tollkeeper.store.protocols import EventStore

__all__ = ["Bucket", "add_up", "load_buckets", "to_buckets"]


class Bucket(Struct, frozen=True):
    """What happened in one step: as a whole, and the requests of each class of status (``2xx``)."""

    start: int
    totals: Totals
    classes: dict[str, int]

    def share(self, name: str) -> float | None:
        """The share of a class in per cent; None in a bucket without a request."""
        return 100 * self.classes.get(name, 0) / self.totals.requests if self.totals.requests else None


def load_buckets(store: EventStore, span: Range, filters: Filters) -> list[Bucket]:
    """Load every bucket of a span, the empty ones too, in order of time."""
    query = UsageQuery(
        start=span.start, end=span.end, step=span.step, group_by=("status",), filters=filters, sketches=True
    )
    return to_buckets(span, store.usage(query))


def to_buckets(span: Range, rows: Iterable[UsageRow]) -> list[Bucket]:
    """Put usage by step and status into the buckets of a span; rows of the same step and status are added up."""
    found: dict[int, list[tuple[int, Totals]]] = {}
    for row in rows:
        found.setdefault(row.start, []).append((cast("int", row.key[0]), row.totals))
    buckets = []
    for start in span.starts:
        parts = found.get(start, [])
        classes: dict[str, int] = {}
        for code, totals in parts:
            name = f"{code // 100}xx"
            classes[name] = classes.get(name, 0) + totals.requests
        buckets.append(Bucket(start, add_up(totals for _, totals in parts), classes))
    return buckets


def add_up(parts: Iterable[Totals]) -> Totals:
    """Sum any number of totals with a single merge of their sketches."""
    kept = list(parts)
    return Totals(
        requests=sum(part.requests for part in kept),
        errors=sum(part.errors for part in kept),
        bytes=sum(part.bytes for part in kept),
        units=sum(part.units for part in kept),
        timed=sum(part.timed for part in kept),
        elapsed=sum(part.elapsed for part in kept),
        sketch=merge_sketches([part.sketch for part in kept]),
    )
