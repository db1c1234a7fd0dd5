"""What was called by some keys, whatever their state, because what was served is owed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.metering.usage import UsageQuery, UsageRow
from tollkeeper.service.usage import TopRow, top

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.billing.customer import ApiKey
    from tollkeeper.metering.usage import Filters
    from tollkeeper.service.periods import Period
    from tollkeeper.store.protocols import EventStore

__all__ = ["KeyUsage", "routes_by_keys", "usage_by_keys"]


class KeyUsage(Struct, frozen=True):
    """Usage by step and status, with latencies, and the requests of each key, by its fingerprint."""

    rows: list[UsageRow]
    requests: dict[str, int]


def usage_by_keys(
    store: EventStore, keys: Iterable[ApiKey], period: Period, *, step: int, filters: Filters
) -> KeyUsage:
    """Read the usage of keys in buckets of ``step`` microseconds, whole hours.

    One question for each key, because that reads only what is of the key.
    """
    query = UsageQuery(start=period.start, end=period.end, step=step, group_by=("status",), sketches=True)
    rows: list[UsageRow] = []
    requests: dict[str, int] = {}
    for key in keys:
        found = store.usage(replace(query, filters=replace(filters, consumer=key.fingerprint)))
        requests[key.fingerprint] = sum(row.totals.requests for row in found)
        rows += found
    return KeyUsage(rows, requests)


def routes_by_keys(store: EventStore, keys: Iterable[ApiKey], period: Period, *, filters: Filters) -> list[TopRow]:
    """Rank the routes that keys have called, most requests first; one question for each key."""
    ranked: dict[str | None, TopRow] = {}
    for key in keys:
        for row in top(store, "route", period, filters=replace(filters, consumer=key.fingerprint), limit=None):
            known = ranked.get(row.key)
            ranked[row.key] = row if known is None else replace(known, totals=known.totals + row.totals)
    return sorted(ranked.values(), key=lambda row: (-row.totals.requests, row.label))
