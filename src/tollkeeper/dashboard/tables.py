"""Rankings as tables: their columns, their order, and the same rows as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from litestar import Response
from msgspec import Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.figures import Metric, figure
from tollkeeper.service.spreadsheet import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.service.usage import TopRow

__all__ = ["COLUMNS", "Column", "Order", "parse_order", "to_csv"]


class Column(Struct, frozen=True):
    """A sortable figure of a ranking; ``form`` is the filter of the templates that writes it."""

    metric: Metric
    label: str
    form: str
    csv: str


class Order(Struct, frozen=True):
    """By which column a table is sorted, and which way; ``name`` sorts by the name of the row."""

    column: str
    descending: bool

    def link(self, column: str) -> str:
        """The value of ``sort`` for a click on a column; a second click turns the order round."""
        flip = self.column == column
        descending = not self.descending if flip else column != "name"
        return f"-{column}" if descending else column

    def aria(self, column: str) -> str | None:
        """The value of ``aria-sort`` of a column; None when the table is not sorted by it."""
        return ("descending" if self.descending else "ascending") if column == self.column else None

    def apply(self, rows: Iterable[TopRow]) -> list[TopRow]:
        """Sort rows; those without a figure come last either way."""
        if self.column == "name":
            return sorted(rows, key=lambda row: row.label, reverse=self.descending)
        metric = next(column.metric for column in COLUMNS if column.metric == self.column)
        figures = [(figure(metric, row.totals), row) for row in rows]
        known = [(value, row) for value, row in figures if value is not None]
        known.sort(key=lambda pair: (-pair[0] if self.descending else pair[0], pair[1].label))
        return [row for _, row in known] + [row for value, row in figures if value is None]


COLUMNS = (
    Column("requests", "Requests", "whole", "requests"),
    Column("errors", "Errors", "whole", "errors"),
    Column("error_rate", "Error rate", "percent", "error_rate"),
    Column("latency_p50", "p50", "duration", "latency_p50_seconds"),
    Column("latency_p95", "p95", "duration", "latency_p95_seconds"),
    Column("latency_p99", "p99", "duration", "latency_p99_seconds"),
    Column("bytes", "Data out", "size", "bytes"),
)


def parse_order(text: str | None) -> Order:
    """Read ``sort``, as ``latency_p95`` or ``-requests``; raises InvalidRequestError that lists the columns."""
    order = Order((text or "-requests").removeprefix("-"), (text or "-").startswith("-"))
    known = ["name", *(column.metric for column in COLUMNS)]
    if order.column not in known:
        raise InvalidRequestError(
            f"sort is {text!r}: choose one of {', '.join(known)}, with a minus for largest first."
        )
    return order


def to_csv(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response[bytes]:
    """Send rows as a CSV file; a text that a spreadsheet would run as a formula is quoted with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
    disposition = {"Content-Disposition": f'attachment; filename="tollkeeper-{name}.csv"'}
    return Response(text.getvalue().encode(), media_type="text/csv", headers=disposition)
