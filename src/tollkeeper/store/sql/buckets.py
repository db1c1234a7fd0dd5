"""Which roll-up answers a question, and how SQL names its buckets and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.metering.rollup import GRAINS, Kind

if TYPE_CHECKING:
    from tollkeeper.metering.usage import UsageQuery

__all__ = ["COLUMN", "FIRST_ERROR_STATUS", "SCAN", "bucket_of_time", "kind_for"]

FIRST_ERROR_STATUS = 400
COLUMN = {"route": "route_id", "consumer": "consumer_id", "status": "status"}

SCAN = "FROM rollup WHERE kind = ? AND grain = ? AND start >= ? AND start < ?"
"""A range of roll-ups as a whole; each engine has its own way to seek some keys in it, bucket by bucket."""


def kind_for(*, by_route: bool, by_consumer: bool, packed: bool = False) -> Kind:
    """The roll-up whose key tells apart what is asked, and nothing else."""
    wanted = by_route, by_consumer, packed
    return next(kind for kind in GRAINS if (kind.route, kind.consumer, kind.packed) == wanted)


def bucket_of_time(query: UsageQuery, column: str) -> tuple[str, tuple[int, ...]]:
    """The expression for the bucket that a time falls into, and the values in it."""
    return ("?", (query.start,)) if query.step is None else (f"({column} / ?) * ?", (query.step, query.step))
