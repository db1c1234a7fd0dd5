"""``tollkeeper invoices run``: the invoices of a month, with its progress and what came of it."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tollkeeper.cli.options import StoreOption, console, opened
from tollkeeper.errors import NotFoundError
from tollkeeper.service.customer_search import customers_called
from tollkeeper.service.invoicing.run import run_invoices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.invoicing.run import RunReport

__all__ = ["run_command"]

QUIET_SECONDS = 5.0


def run_command(
    *,
    period: str = typer.Option(..., metavar="MONTH", help="The month to bill, as 2026-10."),
    draft_only: bool = typer.Option(False, "--draft-only", help="Make nothing final, whatever the day."),
    customers: list[str] = typer.Option(
        None, "--customer", metavar="CUSTOMER", help="Only of this customer: id, external id or name; repeatable."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """Draft the invoices of a month, and make those final whose days of grace are over.

    Run it as often as you like, also while it runs elsewhere or after it was interrupted: each customer has one
    invoice of a month and currency, and what is final stays.
    """
    with opened(store, must_exist=True) as service, _progress() as progress:
        report = run_invoices(
            service,
            period,
            now=datetime.now(UTC),
            finalize=not draft_only,
            customers=_ids(service, customers) if customers else None,
            progress=progress,
        )
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
        return
    _print(report)


def _ids(service: Service, names: list[str]) -> list[str]:
    found: list[str] = []
    with service.catalog.reading() as records:
        for name in names:
            called = customers_called(records, name)
            if not called:
                raise NotFoundError(f"There is no customer {name[:100]!r}: 'tollkeeper customer list' shows them.")
            found += [one.id for one in called]
    return found


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    errors = Console(stderr=True, highlight=False)
    if not errors.is_terminal:
        said = time.monotonic()

        def say(done: int, count: int) -> None:
            nonlocal said
            if time.monotonic() - said >= QUIET_SECONDS:
                said = time.monotonic()
                errors.print(f"{done:,} of {count:,} customers")

        yield say
        return
    columns = (
        TextColumn("Invoices"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("customers"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("run", total=None)
        yield lambda done, count: bar.update(task, completed=done, total=count)


def _print(report: RunReport) -> None:
    out = console()
    table = Table("Invoices", box=None, header_style="bold", pad_edge=False)
    table.add_column(report.month, justify="right")
    for name, count in (
        ("Drafts", report.made),
        ("Finalized", report.finalized),
        ("Unchanged", report.unchanged),
        ("Nothing to pay", report.without_lines),
    ):
        table.add_row(name, f"{count:,}")
    for currency, total in sorted(report.totals.items()):
        table.add_row(f"Total {currency}", f"{total:,f}")
    out.print(table)
    if report.problems:
        out.print(f"{len(report.problems):,} problems:")
        for problem in report.problems:
            out.print(f"  {problem}", soft_wrap=True)
