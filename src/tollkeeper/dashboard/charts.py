"""What a chart shows, as the data that ``<time-chart>`` draws and that its table lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from tollkeeper.dashboard.formats import moment
from tollkeeper.dashboard.view import View
from tollkeeper.metering.window import DAY
from tollkeeper.service.figures import figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.dashboard.series import Bucket
    from tollkeeper.service.figures import Metric

__all__ = ["Chart", "data_chart", "error_chart", "latency_chart", "request_chart"]

MICROSECONDS = 1_000_000
CLASSES = ("2xx", "3xx", "4xx", "5xx")
PERCENTILES: dict[int, Metric] = {50: "latency_p50", 95: "latency_p95", 99: "latency_p99"}


class Line(Struct, frozen=True, kw_only=True):
    """One series; ``colour`` names a custom property of the style sheet, ``status`` is the filter of its legend."""

    name: str
    colour: str
    values: list[float | None]
    thin: bool = False
    status: str | None = None


class Chart(Struct, frozen=True, kw_only=True):
    """``unit`` is count, percent, ms or bytes; the buckets are those of the view."""

    title: str
    kind: Literal["bar", "line"]
    unit: Literal["count", "percent", "ms", "bytes"]
    lines: list[Line]
    view: View

    @property
    def span(self) -> str:
        """The time that it shows, in words."""
        return self.view.range.label

    @property
    def first_column(self) -> str:
        """What the rows of its table begin with."""
        return "From (UTC)"

    @property
    def data(self) -> dict[str, Any]:
        """The data for the browser; times in seconds."""
        span = self.view.range
        return {
            "t": [start // MICROSECONDS for start in span.starts],
            "step": span.step // MICROSECONDS,
            "unit": self.unit,
            "partial": span.partial,
            "zoom": self.view.url(from_=None),
            "series": [
                {"name": line.name, "colour": line.colour, "values": line.values, "thin": line.thin}
                for line in self.lines
            ],
        }

    @property
    def rows(self) -> list[tuple[str, list[float | None], bool]]:
        """The rows of the table, newest first: when, the value of each line, whether it is still being counted."""
        span = self.view.range
        form = "%b %-d, %Y" if span.step >= DAY else "%b %-d, %H:%M"
        rows = [
            (moment(start, form), [line.values[index] for line in self.lines], index == span.partial)
            for index, start in enumerate(span.starts)
            if span.partial is None or index <= span.partial
        ]
        return rows[::-1]


def request_chart(view: View, buckets: Sequence[Bucket]) -> Chart:
    """Count requests by class of status; a class that nobody met is left out, save 2xx or the one that is asked for."""
    asked = view.filters.status
    met = {name for bucket in buckets for name in bucket.classes} | {f"{asked[0]}xx" if asked else CLASSES[0]}
    lines = [
        Line(name=name, colour=f"s{name[0]}", values=[bucket.classes.get(name, 0) for bucket in buckets], status=name)
        for name in CLASSES
        if name in met
    ]
    return Chart(title="Requests", kind="bar", unit="count", lines=lines, view=view)


def error_chart(view: View, buckets: Sequence[Bucket]) -> Chart:
    """Show which share of the requests failed, by whose fault."""
    lines = [
        Line(name=name, colour=f"s{name[0]}", values=_rounded([bucket.share(name) for bucket in buckets]), status=name)
        for name in ("4xx", "5xx")
    ]
    return Chart(title="Error rate", kind="line", unit="percent", lines=lines, view=view)


def latency_chart(view: View, buckets: Sequence[Bucket]) -> Chart:
    """Show the percentiles of the latency, in milliseconds."""
    lines = [
        Line(
            name=f"p{rank}",
            colour=f"p{rank}",
            values=_rounded([_milliseconds(figure(metric, bucket.totals)) for bucket in buckets]),
            thin=rank == 99,  # noqa: PLR2004  # p99
        )
        for rank, metric in PERCENTILES.items()
    ]
    return Chart(title="Latency", kind="line", unit="ms", lines=lines, view=view)


def data_chart(view: View, buckets: Sequence[Bucket]) -> Chart:
    """Sum the bytes of the responses."""
    line = Line(name="Response bodies", colour="data", values=[bucket.totals.bytes for bucket in buckets])
    return Chart(title="Data out", kind="bar", unit="bytes", lines=[line], view=view)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _rounded(values: list[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 2) for value in values]
