"""How much, how fast, by whom: time series, rankings and the figures at the head of a page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, cast

from msgspec import Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.event import EPOCH
from tollkeeper.metering.sketch import quantile
from tollkeeper.metering.usage import Filters, Totals, UsageQuery
from tollkeeper.metering.window import DAY, QUARTER

if TYPE_CHECKING:
    from tollkeeper.metering.usage import Dimension, UsageRow
    from tollkeeper.store.protocols import EventStore

__all__ = ["Grouping", "Metric", "Period", "Series", "Timeseries", "TopRow", "figure", "timeseries", "top", "totals"]

Metric = Literal["requests", "errors", "error_rate", "latency_p50", "latency_p95", "latency_p99", "bytes", "units"]
Grouping = Literal["route", "consumer", "status", "status_class", "day"]

UNITS: dict[Metric, str] = {
    "requests": "requests",
    "errors": "requests",
    "error_rate": "ratio",
    "latency_p50": "seconds",
    "latency_p95": "seconds",
    "latency_p99": "seconds",
    "bytes": "bytes",
    "units": "units",
}
QUANTILES: dict[str, float] = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}
DIMENSIONS: dict[Grouping, Dimension] = {
    "route": "route",
    "consumer": "consumer",
    "status": "status",
    "status_class": "status",
}
MAX_BUCKETS = 2_000
NOBODY = "(none)"
OTHER = "(other)"


class Period(Struct, frozen=True):
    """A half-open time span ``[start, end)`` in microseconds since 1970 UTC."""

    start: int
    end: int


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
    """One member of a ranking. ``key`` names it (a route as ``GET /users/{id}``), ``totals`` has all that adds up."""

    key: str
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
    multiple of 15 minutes, or that makes more than 2,000 buckets.
    """
    if step <= 0 or step % QUARTER:
        raise InvalidRequestError("step must be a multiple of 15 minutes: give e.g. 15m, 1h or 1d.")
    if period.end - period.start > MAX_BUCKETS * step:
        raise InvalidRequestError(f"The period makes more than {MAX_BUCKETS} buckets: give a longer step.")
    rows = _usage(store, period, filters, step=step, by=group_by, sketches=metric in QUANTILES)
    buckets = list(range(period.start // step * step, period.end, step))
    groups: dict[str | None, dict[int, Totals]] = {}
    for row in rows:
        cells = groups.setdefault(_key(group_by, row)[0] if group_by else None, {})
        cells[row.start] = cells.get(row.start, Totals()) + row.totals
    if group_by is None:
        groups = {None: groups.get(None, {})}
    series = [
        Series(key, [figure(metric, cells.get(bucket, Totals())) for bucket in buckets])
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
    sketches: bool = True,
) -> list[TopRow]:
    """Rank groups by a metric, largest first (``day``: in order of time); ``sketches=False`` leaves latencies out."""
    rows = _usage(
        store, period, filters, step=DAY if by == "day" else None, by=by, sketches=sketches or metric in QUANTILES
    )
    members: dict[str, tuple[str, Totals]] = {}
    for row in rows:
        key, label = _key(by, row)
        known = members.get(key)
        members[key] = (label, row.totals if known is None else known[1] + row.totals)
    ranking = [TopRow(key=key, label=label, totals=totals) for key, (label, totals) in members.items()]
    if by == "day":
        return ranking[:limit]
    ranking.sort(key=lambda row: (-(figure(metric, row.totals) or 0), row.key))
    return ranking[:limit]


def totals(store: EventStore, period: Period, filters: Filters | None = None) -> Totals:
    """Everything in a period as one sum, latency sketch included."""
    rows = _usage(store, period, filters)
    return rows[0].totals if rows else Totals()


def figure(metric: Metric, totals: Totals) -> float | None:
    """Read a metric off a sum: latencies in seconds, rates as a share of 1; None when nothing was measured."""
    if metric in QUANTILES:
        return quantile(totals.sketch, QUANTILES[metric])
    if metric == "error_rate":
        return totals.errors / totals.requests if totals.requests else None
    if metric == "units":
        return totals.units / 1_000_000
    return cast("int", getattr(totals, metric))


def _usage(
    store: EventStore,
    period: Period,
    filters: Filters | None,
    *,
    step: int | None = None,
    by: Grouping | None = None,
    sketches: bool = True,
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
        )
    )


def _key(by: Grouping, row: UsageRow) -> tuple[str, str]:
    """The name of a group, and what a person reads for it."""
    if by == "day":
        day = (EPOCH + timedelta(microseconds=row.start)).date().isoformat()
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
        key, label = cast("tuple[str, str | None]", value or (NOBODY, None))
        return key, label or key
    return str(value), str(value)


def _largest(groups: dict[str | None, dict[int, Totals]], limit: int) -> dict[str | None, dict[int, Totals]]:
    """Keep the ``limit`` groups with the most requests, and add the others up as one."""
    ranked = sorted(groups, key=lambda key: -sum(cell.requests for cell in groups[key].values()))
    kept = {key: groups[key] for key in ranked[:limit]}
    if rest := ranked[limit:]:
        other: dict[int, Totals] = {}
        for key in rest:
            for bucket, cell in groups[key].items():
                other[bucket] = other.get(bucket, Totals()) + cell
        kept[OTHER] = other
    return kept
