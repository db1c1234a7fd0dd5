"""``tollkeeper usage``: the figures."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec
import typer
from rich.table import Table

from tollkeeper.cli.options import FILE_WIDTH, StoreOption, console, opened
from tollkeeper.service.figures import figure
from tollkeeper.service.periods import END_OF_TIME, Period, parse_time
from tollkeeper.service.usage import top

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from tollkeeper.service.usage import TopRow

__all__ = ["usage_command"]

MILLISECONDS = 1_000


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * MILLISECONDS:,.1f} ms"


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "Requests": lambda line: f"{line['requests']:,}",
    "Errors": lambda line: f"{line['errors']:,}",
    "Error rate": lambda line: f"{line['error_rate'] or 0:.2%}",
    "p50": lambda line: _milliseconds(line["latency_p50"]),
    "p95": lambda line: _milliseconds(line["latency_p95"]),
    "p99": lambda line: _milliseconds(line["latency_p99"]),
    "Bytes": lambda line: f"{line['bytes']:,}",
    "Units": lambda line: f"{line['units']:,g}",
}
EXPENDABLE = ("p50", "p99", "Bytes")
"""What a narrow terminal goes without, the first first."""


class By(StrEnum):
    """What a report has a row for."""

    route = "route"
    consumer = "consumer"
    status = "status"
    day = "day"


def usage_command(
    *,
    by: By = typer.Option(By.route, help="A row for each of these."),
    start: str = typer.Option(
        None, "--from", metavar="TIME", help="Start, included: a time or a day, UTC. Default: the first event."
    ),
    end: str = typer.Option(
        None, "--to", metavar="TIME", help="End, excluded: a time or a day, UTC. Default: the last event."
    ),
    limit: int = typer.Option(0, min=0, metavar="N", help="Rows at most; 0 shows all."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """Show how much the API was used, by whom or where, with errors and latency."""
    period = Period(parse_time("from", start) if start else 0, parse_time("to", end) if end else END_OF_TIME)
    with opened(store, must_exist=True) as service:
        rows = top(service.events, by.value, period, limit=limit or None)
    figures = [_figures(by.value, row) for row in rows]
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(figures)).decode())
        return
    if rows:
        out = console()
        out.print(_fitting(by.value, figures, out))
    elif start or end:
        typer.echo("No events in this time.")
    else:
        typer.echo("No events yet: send some, or run 'tollkeeper import access-log FILE'.")


def _figures(by: str, row: TopRow) -> dict[str, Any]:
    sums = row.totals
    return {
        by: row.label if row.key is None else row.key,
        "requests": sums.requests,
        "errors": sums.errors,
        "error_rate": figure("error_rate", sums),
        "latency_p50": figure("latency_p50", sums),
        "latency_p95": figure("latency_p95", sums),
        "latency_p99": figure("latency_p99", sums),
        "bytes": sums.bytes,
        "units": figure("units", sums),
    }


def _fitting(by: str, lines: list[dict[str, Any]], out: Console) -> Table:
    """A table of the columns that the console has room for with no line broken; units where they are no requests."""
    columns = [name for name in COLUMNS if name != "Units" or any(line["units"] != line["requests"] for line in lines)]
    table = _table(by, lines, columns)
    for name in EXPENDABLE:
        if out.measure(table, options=out.options.update_width(FILE_WIDTH)).maximum <= out.width:
            break
        columns.remove(name)
        table = _table(by, lines, columns)
    return table


def _table(by: str, lines: list[dict[str, Any]], columns: list[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(by.capitalize(), overflow="fold", min_width=12)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(str(line[by]), *(COLUMNS[name](line) for name in columns))
    return table
