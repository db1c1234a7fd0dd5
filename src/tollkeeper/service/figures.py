"""The metrics that a sum of usage can be read as, and what it can be grouped by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from tollkeeper.metering.sketch import quantile

if TYPE_CHECKING:
    from tollkeeper.metering.usage import Totals

__all__ = ["QUANTILES", "UNITS", "Grouping", "Metric", "figure"]

Grouping = Literal["route", "consumer", "status", "status_class", "day"]
Metric = Literal["requests", "errors", "error_rate", "latency_p50", "latency_p95", "latency_p99", "bytes", "units"]

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


def figure(metric: Metric, totals: Totals) -> float | None:
    """Read a metric off a sum: latencies in seconds, rates as a share of 1; None when nothing was measured."""
    if metric in QUANTILES:
        return quantile(totals.sketch, QUANTILES[metric])
    if metric == "error_rate":
        return totals.errors / totals.requests if totals.requests else None
    if metric == "units":
        return totals.units / 1_000_000
    return cast("int", getattr(totals, metric))
