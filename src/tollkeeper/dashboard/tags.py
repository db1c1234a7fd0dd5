"""Tags with their counts, and the history of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get
from markupsafe import Markup
from msgspec import Struct

from tollkeeper.dashboard.cards import sparkline
from tollkeeper.dashboard.charts import Chart, Line
from tollkeeper.dashboard.tables import to_csv
from tollkeeper.dashboard.view import parse_view
from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.window import DAY
from tollkeeper.service.tags import find_tag, list_uses
from tollkeeper.store.tags.tag import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from litestar.di import NamedDependency
    from litestar.params import FromPath

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.dashboard.ranges import Range
    from tollkeeper.service.bootstrap import Service

__all__ = ["TAG_PAGES"]

PAGE = 50
NEWEST = 20
SPARK_POINTS = 30
MAX_CURSOR = 100


class Row(Struct, frozen=True, kw_only=True):
    """A tag in the list: with its uses in the span, and when it was used last, in microseconds."""

    tag: Tag
    uses: int
    spark: Markup
    used_at: int | None


@get("/tags", sync_to_thread=True)
def tags(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List tags, those that were used most first."""
    view = parse_view(request)
    after = view.query.get("after")
    found = service.tags.busiest(after=_place(after), limit=PAGE + 1)
    shown = found[:PAGE]
    curves = _curves(service, view.range, shown)
    return pages.render(
        request,
        "tags.html",
        view=view,
        rows=[_row(tag, curve, view.range) for tag, curve in zip(shown, curves, strict=True)],
        after=after,
        following=f"{shown[-1].count}.{shown[-1].id}" if len(found) > PAGE else None,
        days=service.settings.tag_history_days,
    )


@get("/tags/{tag:str}", sync_to_thread=True)
def one_tag(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    tag: FromPath[str],
) -> Response[bytes]:
    """Show a tag's count, its history as a chart, and its newest uses."""
    view = parse_view(request)
    found = find_tag(service.tags, tag)
    days = service.settings.tag_history_days
    (curve,) = _curves(service, view.range, [found])
    newest = list_uses(service.tags, found.id, days=days, after=str(max(0, found.count - NEWEST)), limit=NEWEST)
    line = Line(name="Uses", colour="uses", values=[*curve])
    return pages.render(
        request,
        "tag.html",
        view=view,
        tag=found,
        uses=_total(curve),
        chart=Chart(title="Uses", kind="bar", unit="count", lines=[line], view=view),
        newest=[(use.n, to_microseconds(use.at)) for use in reversed(newest.items)],
        days=days,
    )


@get("/tags.csv", sync_to_thread=True)
def tags_csv(service: NamedDependency[Service]) -> Response[bytes]:
    """Send all tags with their counts."""
    return to_csv("tags", ["tag", "uses", "created_at", "used_at"], _rows(service))


def _rows(service: Service) -> Iterator[list[Any]]:
    after: tuple[int, str] | None = None
    while found := service.tags.busiest(after=after, limit=1_000):
        for tag in found:
            yield [tag.name, tag.count, tag.created_at.isoformat(), tag.used_at.isoformat() if tag.used_at else None]
        after = (found[-1].count, found[-1].id)


def _curves(service: Service, span: Range, shown: Sequence[Tag]) -> list[list[int | None]]:
    """The uses of each tag by the steps of a span; None where the history holds them no more, or not yet."""
    kept = span.now - service.settings.tag_history_days * DAY
    found = service.tags.buckets([tag.id for tag in shown], start=span.start, end=span.end, step=span.step)
    return [
        [
            found.get(tag.id, {}).get(start, 0) if start + span.step > kept and start <= span.now else None
            for start in span.starts
        ]
        for tag in shown
    ]


def _row(tag: Tag, curve: list[int | None], span: Range) -> Row:
    whole = curve[: span.partial] or curve  # one still being filled would end the curve in a fall
    width = -(-len(whole) // SPARK_POINTS)
    groups = [whole[start : start + width] for start in range(0, len(whole), width)]
    return Row(
        tag=tag,
        uses=_total(curve),
        spark=sparkline([None if group[-1] is None else _total(group) for group in groups]),
        used_at=to_microseconds(tag.used_at) if tag.used_at else None,
    )


def _total(curve: Sequence[int | None]) -> int:
    return sum(uses or 0 for uses in curve)


def _place(cursor: str | None) -> tuple[int, str] | None:
    if not cursor:
        return None
    count, dot, tag_id = cursor.partition(".")
    if not (dot and count.isascii() and count.isdigit() and len(cursor) < MAX_CURSOR and int(count) < 2**63):
        raise InvalidRequestError(f"after is {cursor[:MAX_CURSOR]!r}: take it from the page before, or leave it out.")
    return int(count), tag_id


TAG_PAGES = (tags, one_tag, tags_csv)
