"""How much, how fast, by whom: time series, rankings and the figures at the head of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from msgspec import Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.metering.usage import Filters, Totals, UsageQuery
from tollkeeper.metering.window import DAY, HOUR, QUARTER
from tollkeeper.service.figures import QUANTILES, UNITS, Grouping, Metric, figure

if TYPE_CHECKING:
    from tollkeeper.metering.usage import Dimension, UsageRow
    from tollkeeper.service.periods import Period
    from tollkeeper.store.protocols import EventStore

__all__ = ["Timeseries", "TopRow", "timeseries", "top", "totals"]


DIMENSIONS: dict[Grouping, Dimension] = {
    "route": "route",
    "consumer": "consumer",
    "status": "status",
    "status_class": "status",
}
MAX_BUCKETS = 2_000
NOBODY = "(not identified)"
OTHER = "(other)"


class Series(Struct, frozen=True):
    """One line of a chart; ``values`` has one figure for each bucket, None where there is none to give."""

    key: str | None
    values: list[float | None]


class Timeseries(Struct, frozen=True, kw_only=True):
    """A metric over time; ``buckets`` are starts in µs, ``unit`` is requests, ratio, seconds, bytes or units."""

    metric: Metric
    unit: str
    step: int
    buckets: list[int]
    series: list[Series]


class TopRow(Struct, frozen=True, kw_only=True):
    """One member of a ranking, named by ``key``: a route as ``GET /users/{id}``, None for calls without a consumer."""

    key: str | None
    label: str
    totals: Totals


def timeseries(
    store: EventStore,
    metric: Metric,
    period: Period,
    *,
    step: int,
    group_by: Grouping | None = None,
    filters: Filters | None = None,
    limit: int = 6,
) -> Timeseries:
    """Compute a metric in buckets of ``step`` microseconds; with a grouping, the ``limit`` largest groups and the rest.

    The first and the last bucket hold only what lies in the period. Raises InvalidRequestError for a step that is no
    multiple of 15 minutes (1 hour where consumers are told apart: that is how these are rolled up), or that makes more
    than 2,000 buckets.
    """
    if (group_by == "consumer" or (filters and filters.consumer)) and step % HOUR:
        raise InvalidRequestError(
            "step must be a multiple of 1 hour where consumers are told apart: give e.g. 1h or 1d."
        )
    if step <= 0 or step % QUARTER:
        raise InvalidRequestError("step must be a multiple of 15 minutes: give e.g. 15m, 1h or 1d.")
    if period.end - period.start > MAX_BUCKETS * step:
        raise InvalidRequestError(f"The period makes more than {MAX_BUCKETS} buckets: give a longer step.")
    rows = _usage(store, period, filters, step=step, by=group_by, sketches=metric in QUANTILES)
    buckets = list(range(period.start // step * step, period.end, step))
    groups: dict[str | None, dict[int, Totals]] = {}
    for row in rows:
        cells = groups.setdefault(_key(group_by, row)[0] if group_by else None, {})
        known = cells.get(row.start)
        cells[row.start] = row.totals if known is None else known + row.totals
    if group_by is None:
        groups = {None: groups.get(None, {})}
    nothing = Totals()
    series = [
        Series(key, [figure(metric, cells.get(bucket, nothing)) for bucket in buckets])
        for key, cells in _largest(groups, limit).items()
    ]
    return Timeseries(metric=metric, unit=UNITS[metric], step=step, buckets=buckets, series=series)


def top(
    store: EventStore,
    by: Grouping,
    period: Period,
    *,
    metric: Metric = "requests",
    filters: Filters | None = None,
    limit: int | None = 10,
) -> list[TopRow]:
    """Rank groups by a metric, largest first (``day``: in order of time)."""
    rows = _usage(
        store,
        period,
        filters,
        step=DAY if by == "day" else None,
        by=by,
        largest=limit if metric == "requests" and by in {"route", "consumer"} else None,
    )
    members: dict[str | None, tuple[str, Totals]] = {}
    for row in rows:
        key, label = _key(by, row)
        known = members.get(key)
        members[key] = (label, row.totals if known is None else known[1] + row.totals)
    ranking = [TopRow(key=key, label=label, totals=totals) for key, (label, totals) in members.items()]
    if by == "day":
        return ranking[:limit]
    ranking.sort(key=lambda row: (-(figure(metric, row.totals) or 0), row.key or ""))
    return ranking[:limit]


def totals(store: EventStore, period: Period, filters: Filters | None = None) -> Totals:
    """Everything in a period as one sum, latency sketch included."""
    rows = _usage(store, period, filters)
    return rows[0].totals if rows else Totals()


def _usage(
    store: EventStore,
    period: Period,
    filters: Filters | None,
    *,
    step: int | None = None,
    by: Grouping | None = None,
    sketches: bool = True,
    largest: int | None = None,
) -> list[UsageRow]:
    if period.end <= period.start:
        raise InvalidRequestError("The period ends before it starts: give from < to.")
    return store.usage(
        UsageQuery(
            start=period.start,
            end=period.end,
            step=step,
            group_by=(DIMENSIONS[by],) if by in DIMENSIONS else (),
            filters=filters or Filters(),
            sketches=sketches,
            largest=largest,
        )
    )


def _key(by: Grouping, row: UsageRow) -> tuple[str | None, str]:
    """The name of a group, None for the calls of nobody that is known, and what a person reads for it."""
    if by == "day":
        day = from_microseconds(row.start).date().isoformat()
        return day, day
    (value,) = row.key
    if by == "status_class":
        name = f"{cast('int', value) // 100}xx"
        return name, name
    if by == "route":
        method, template, *_ = cast("tuple[str, str, str | None, str | None]", value)
        name = f"{method} {template}"
        return name, name
    if by == "consumer":
        if value is None:
            return None, NOBODY
        key, label = cast("tuple[str, str | None]", value)
        return key, label or key
    return str(value), str(value)


def _largest(groups: dict[str | None, dict[int, Totals]], limit: int) -> dict[str | None, dict[int, Totals]]:
    """Keep the ``limit`` groups with the most requests, and add the others up as one."""
    ranked = sorted(groups, key=lambda key: -sum(cell.requests for cell in groups[key].values()))
    kept = {key: groups[key] for key in ranked[:limit]}
    if rest := ranked[limit:]:
        other = dict(kept.get(OTHER, {}))
        for key in rest:
            for bucket, cell in groups[key].items():
                other[bucket] = other.get(bucket, Totals()) + cell
        kept[OTHER] = other
    return kept
