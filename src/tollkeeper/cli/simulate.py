"""``tollkeeper simulate``: a month's traffic under a plan, or prices, that nobody was told of yet."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

from tollkeeper.cli.money_tables import amount, print_json, print_rows
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.errors import ConfigurationError
from tollkeeper.service.catalog_file import read_catalog
from tollkeeper.service.exports.tables import Column, Export
from tollkeeper.service.exports.writing import write_export
from tollkeeper.service.invoicing.months import month_of, months_before
from tollkeeper.service.simulation.draft import Draft, draft_of
from tollkeeper.service.simulation.simulating import Compared, Simulation, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["simulate_command"]

MONEY = {"before", "after", "difference"}
COLUMNS = tuple(Column(name, "money" if name in MONEY else "text") for name in Compared.__struct_fields__)


class Format(StrEnum):
    """How it is shown."""

    table = "table"
    csv = "csv"
    json = "json"


def simulate_command(
    *,
    plan: Path = typer.Option(
        ..., "--plan", metavar="FILE", help="A TOML file with one [[plan]], [[route]] with prices, or both."
    ),
    period: str = typer.Option(None, metavar="MONTH", help="As 2026-10. Default: last month."),
    subscribers_of: str = typer.Option(None, metavar="PLAN", help="Only this plan gives way to the draft."),
    customer: list[str] = typer.Option([], metavar="CUSTOMER", help="Only this one: id, external id or name."),
    limit: int = typer.Option(20, min=1, metavar="N", help="Customers in the table at most."),
    file_format: Format = typer.Option(Format.table, "--format", help="How it is shown; csv and json have all."),
    store: StoreOption = None,
) -> None:
    """Charge the real traffic of a month under a draft: what it brings, who pays more, who less. Nothing is written."""
    draft = _read(plan)
    month = period or months_before(month_of(datetime.now(UTC)), 1)[0]
    with opened(store, must_exist=True) as service, _progress() as progress:
        found = simulate(
            service, draft, month, subscribers_of=subscribers_of, customers=customer or None, progress=progress
        )
    if file_format is Format.json:
        print_json(found)
    elif file_format is Format.csv:
        rows = (msgspec.structs.astuple(row) for row in found.rows)
        typer.echo(b"".join(write_export(Export(COLUMNS, rows), "csv")).decode(), nl=False)
    else:
        _print(found, limit)
    for problem in found.problems:
        typer.secho(problem, err=True, fg="yellow")


def _read(file: Path) -> Draft:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Cannot read {file}: {error}.") from None
    return draft_of(read_catalog(text, str(file)))


def _print(found: Simulation, limit: int) -> None:
    rows = found.rows[:limit]
    columns: dict[str, list[str]] = {
        "Customer": [row.name for row in rows],
        "Before": [amount(row.before, row.currency) for row in rows],
        "After": [amount(row.after, row.currency) for row in rows],
        "Difference": [f"{row.difference:+,f}" for row in rows],
        "": [str(row.change) for row in rows],
    }
    print_rows(columns, texts=["Customer", ""], none=f"Nobody would be charged for {found.month}.")
    if len(found.rows) > limit:
        typer.echo(f"... and {len(found.rows) - limit:,} more: --limit shows them.")
    for one in found.totals:
        counts = ", ".join(f"{count:,} {change}" for change, count in sorted(one.changes.items()))
        total = f"{amount(one.before, one.currency)} → {amount(one.after, one.currency)} ({one.difference:+,f})"
        typer.echo(f"{found.month}: {total}; {counts}.")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    bar = Progress(
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("simulate", total=None)
        yield lambda done, count: bar.update(task, completed=done, total=count)
