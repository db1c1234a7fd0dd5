"""The first page: how the API does as a whole, and who uses it most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from litestar import Request, Response, get

from tollkeeper.dashboard.cards import Card, compare, sparkline
from tollkeeper.dashboard.charts import data_chart, error_chart, latency_chart, request_chart
from tollkeeper.dashboard.formats import FILTERS
from tollkeeper.dashboard.newest import suggest
from tollkeeper.dashboard.series import add_up, load_buckets
from tollkeeper.dashboard.tables import COLUMNS, parse_order, to_csv
from tollkeeper.dashboard.view import View, parse_view
from tollkeeper.metering.usage import UsageQuery
from tollkeeper.metering.window import DAY, HOUR
from tollkeeper.service.figures import figure
from tollkeeper.service.usage import top, totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.di import NamedDependency

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.dashboard.series import Bucket
    from tollkeeper.metering.usage import Totals
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.figures import Metric
    from tollkeeper.store.protocols import EventStore

__all__ = ["consumers_csv", "overview"]

SHOWN = 10
SHORT = 2 * DAY
SPARK_POINTS = 30


@get("/", sync_to_thread=True)
def overview(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """Show the key figures, the charts and the top consumers of the span."""
    view = parse_view(request)
    order = parse_order(view.query.get("sort"))
    store = service.events
    buckets = load_buckets(store, view.range, view.filters)
    now = add_up(bucket.totals for bucket in buckets)
    if not now.requests:
        return pages.render(request, "empty.html", view=view, title="Overview", newest=suggest(store, view))
    charts = [request_chart, error_chart, latency_chart, data_chart]
    if view.filters.status:
        charts.remove(error_chart)
    return pages.render(
        request,
        "overview.html",
        view=view,
        cards=[*_cards(store, view, buckets, now), _consumer_card(store, view)],
        charts=[chart(view, buckets) for chart in charts],
        consumers=order.apply(_consumers(store, view, order.column, SHOWN)),
        columns=COLUMNS,
        order=order,
        figure=figure,
    )


@get("/consumers.csv", sync_to_thread=True)
def consumers_csv(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Send all consumers of the span with all figures."""
    view = parse_view(request)
    order = parse_order(view.query.get("sort"))
    rows = order.apply(_consumers(service.events, view, order.column, None))
    return to_csv(
        "consumers",
        ["consumer", "label", *(column.csv for column in COLUMNS)],
        ([row.key, row.label, *(figure(column.metric, row.totals) for column in COLUMNS)] for row in rows),
    )


def _consumers(store: EventStore, view: View, column: str, limit: int | None) -> list[Any]:
    metric = cast("Metric", "requests" if column == "name" else column)
    return top(store, "consumer", view.range.period, metric=metric, filters=view.filters, limit=limit)


def _cards(store: EventStore, view: View, buckets: Sequence[Bucket], now: Totals) -> list[Card]:
    before = totals(store, view.range.previous, view.filters)
    whole = buckets[: view.range.partial] or buckets  # one still being filled would end every curve in a fall
    width = -(-len(whole) // SPARK_POINTS)
    curve = [add_up(bucket.totals for bucket in group) for group in _groups(whole, width)]

    def read(
        metric: Metric, sums: Totals
    ) -> float | None:  # among requests of one status, a rate of errors says nothing
        return None if metric == "error_rate" and view.filters.status else figure(metric, sums)

    cards: tuple[tuple[Metric, str, str, str, Literal["up", "down"]], ...] = (
        ("requests", "Requests", "compact", "s2", "up"),
        ("error_rate", "Error rate", "percent", "s5", "down"),
        ("latency_p95", "Latency p95", "duration", "p95", "down"),
    )
    return [
        Card(
            label=label,
            value=FILTERS[form](read(metric, now)),
            colour=colour,
            spark=sparkline([read(metric, sums) for sums in curve]),
            delta=compare(read(metric, now), read(metric, before), good=good, points=form == "percent"),
        )
        for metric, label, form, colour, good in cards
    ]


def _groups(buckets: Sequence[Bucket], width: int) -> list[Sequence[Bucket]]:
    """Cut into groups of ``width`` that end with the last bucket; what is left over at the start is dropped."""
    return [buckets[end - width : end] for end in range(len(buckets), width - 1, -width)][::-1]


def _consumer_card(store: EventStore, view: View) -> Card:
    """Count who called at least once; by hour or by day, because that is how consumers are rolled up."""
    span = view.range
    unit = HOUR if span.end - span.start <= SHORT else DAY
    step = -(-(span.end - span.start) // unit // SPARK_POINTS) * unit
    active = store.count_consumers(UsageQuery(start=span.start, end=span.end, step=step, filters=view.filters))
    seen, before = (
        sum(store.count_consumers(UsageQuery(start=whole.start, end=whole.end, filters=view.filters)).values())
        for whole in (span, span.previous)
    )
    starts = range(span.start // step * step, span.end, step)
    counts = [active.get(start, 0) for start in starts if start + step <= span.now or start <= span.start]
    return Card(
        label="Consumers",
        value=FILTERS["compact"](seen),
        colour="people",
        spark=sparkline(counts),
        delta=compare(seen, before, good="up"),
    )
