"""``/v1/analytics``: time series and rankings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from tollkeeper.api.queries import EndQuery, StartQuery, StepQuery, period_from, step_from
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.metering.usage import Filters
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.figures import Metric, figure
from tollkeeper.service.usage import timeseries, top

__all__ = ["get_timeseries", "get_top"]


class SeriesBody(Struct, frozen=True):
    """One line: ``key`` is the group (null without a grouping), ``values`` one figure or null for each bucket."""

    key: str | None
    values: list[float | None]


class TimeseriesBody(Struct, frozen=True, kw_only=True):
    """A metric over time; ``step`` in seconds, ``buckets`` are the starts of half-open windows in UTC."""

    metric: str
    unit: str
    step: float
    buckets: list[datetime]
    series: list[SeriesBody]


class Ranked(Struct, frozen=True, kw_only=True):
    """One member of a ranking with its figures; latencies in seconds, ``key`` null for calls without a consumer."""

    key: str | None
    label: str
    requests: int
    errors: int
    error_rate: float | None
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    bytes: int
    units: float


class TopBody(Struct, frozen=True, kw_only=True):
    """A ranking, largest first."""

    by: str
    metric: str
    rows: list[Ranked]


@get("/v1/analytics/timeseries", sync_to_thread=True, summary="A metric over time", tags=["Analytics"])
def get_timeseries(
    *,
    service: NamedDependency[Service],
    filters: NamedDependency[Filters],
    metric: FromQuery[Metric],
    start: StartQuery = None,
    end: EndQuery = None,
    step: StepQuery = None,
    group_by: Annotated[
        Literal["route", "consumer", "status", "status_class"] | None,
        QueryParameter(description="A line for each of these."),
    ] = None,
    limit: Annotated[
        int, QueryParameter(ge=1, le=50, description="Lines at most; the rest is added up as (other).")
    ] = 6,
) -> TimeseriesBody:
    """Compute a metric over time, exact up to the moment."""
    period = period_from(start, end)
    found = timeseries(
        service.events,
        metric,
        period,
        step=step_from(step, period),
        group_by=group_by,
        filters=filters,
        limit=limit,
    )
    return TimeseriesBody(
        metric=found.metric,
        unit=found.unit,
        step=found.step / 1e6,
        buckets=[from_microseconds(bucket) for bucket in found.buckets],
        series=[SeriesBody(line.key, line.values) for line in found.series],
    )


@get("/v1/analytics/top", sync_to_thread=True, summary="A ranking", tags=["Analytics"])
def get_top(
    *,
    service: NamedDependency[Service],
    filters: NamedDependency[Filters],
    by: FromQuery[Literal["route", "consumer", "status"]],
    metric: FromQuery[Metric] = "requests",
    start: StartQuery = None,
    end: EndQuery = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="Rows at most.")] = 10,
) -> TopBody:
    """Rank routes, consumers or status codes by a metric."""
    rows = top(service.events, by, period_from(start, end), metric=metric, filters=filters, limit=limit)
    return TopBody(
        by=by,
        metric=metric,
        rows=[
            Ranked(
                key=row.key,
                label=row.label,
                requests=row.totals.requests,
                errors=row.totals.errors,
                error_rate=figure("error_rate", row.totals),
                latency_p50=figure("latency_p50", row.totals),
                latency_p95=figure("latency_p95", row.totals),
                latency_p99=figure("latency_p99", row.totals),
                bytes=row.totals.bytes,
                units=row.totals.units / 1e6,
            )
            for row in rows
        ],
    )
