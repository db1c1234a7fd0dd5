"""What an engine brings to a question: how one snapshot is read, and where roll-ups do not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from tollkeeper.metering.rollup import Columns, Kind
from tollkeeper.metering.usage import Totals, UsageQuery
from tollkeeper.store.sql.filters import Condition

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tollkeeper.metering.window import Cover

__all__ = ["Group", "Reading", "Select", "raw_columns", "raw_parts"]

Select = Callable[[str, Sequence[Any]], list[Any]]
"""Runs a SELECT that has ``?`` where a value stands, and gives its rows."""

Group = tuple[int, tuple[int, ...], Totals]
"""A part of an answer: the start of its bucket, the numbers of its group, and what these add up to."""


class Reading(Struct, frozen=True):
    """One snapshot. ``unfolded`` is the condition for ``(watermark, start, end)``; the callables run in the snapshot.

    ``rolled`` sums the roll-ups of one grain in a span, ``columns`` gives the events for a condition and its values.
    """

    select: Select
    rolled: Callable[[UsageQuery, Kind, Condition, tuple[int, int, int]], Iterable[Group]]
    columns: Callable[[str, Sequence[Any]], Columns]
    unfolded: str


def raw_parts(reading: Reading, plan: Cover) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Where raw events answer: at the edges that no grain fits, and for all that is not folded yet."""
    for span in plan.raw:
        yield "time >= ? AND time < ?", span
    if plan.rolled_span:
        ((watermark,),) = reading.select("SELECT folded FROM watermark", ())
        yield reading.unfolded, (watermark, *plan.rolled_span)


def raw_columns(
    reading: Reading, query: UsageQuery, condition: Condition, plan: Cover
) -> Iterator[tuple[Columns, NDArray[np.int64]]]:
    """The raw events that answer, part by part, with the starts of their buckets."""
    for where, limits in raw_parts(reading, plan):
        columns = reading.columns(f"{where}{condition.sql}", (*limits, *condition.values))
        if query.step is None:
            yield columns, np.full(len(columns.time), query.start, dtype=np.int64)
        else:
            yield columns, columns.time // query.step * query.step
