"""``tollkeeper reconcile``: the proof that the books are whole, and that a month's invoices follow from its events."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tollkeeper.cli.options import StoreOption, console, opened
from tollkeeper.service.invoicing.months import check_month
from tollkeeper.service.proof.period import prove_period
from tollkeeper.service.reconcile import reconcile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tollkeeper.service.proof.period import PeriodProof

__all__ = ["reconcile_command"]


def reconcile_command(
    *,
    period: str | None = typer.Option(
        None, "--period", metavar="MONTH", help="Prove a month's invoices, too: 2026-10, its times in UTC."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """Prove that received = stored + duplicate + rejected, and that all that was stored is there; exit 1 if not.

    With a month, prove its invoices, too: what became of each event, and that each line follows from its events.
    """
    proof = None
    if period is not None:
        check_month(period)
    with opened(store, must_exist=True) as service:
        result = reconcile(service.events)
        if period is not None:
            with _progress() as progress:
                proof = prove_period(service, period, progress)
    problems = result.problems + (proof.problems if proof else [])
    if as_json:
        document: dict[str, Any] = msgspec.to_builtins(result)
        if proof is not None:
            document["period"] = msgspec.to_builtins(proof)
        typer.echo(msgspec.json.format(msgspec.json.encode(document)).decode())
        raise typer.Exit(1 if problems else 0)
    if result.books:
        _print_books(result.books)
    else:
        typer.echo("Nothing was received yet.")
    if proof is not None:
        _print_proof(proof)
    for problem in problems:
        typer.secho(problem, err=True, fg="red")
    if not result.problems:
        typer.secho("The books balance: nothing was lost, nothing was counted twice.", fg="green")
    if proof is not None and not proof.problems:
        typer.secho(f"{proof.period} is proved: each line follows from its events, to the cent.", fg="green")
    raise typer.Exit(1 if problems else 0)


def _print_books(books: list[Any]) -> None:
    table = Table("Source", box=None, header_style="bold", pad_edge=False, show_footer=len(books) > 1)
    names = ("received", "stored", "duplicate", "rejected", "present")
    for name in names:
        total = sum(getattr(row, name) for row in books)
        table.add_column(name.capitalize(), f"{total:,}", justify="right")
    for row in books:
        table.add_row(row.source, *(f"{getattr(row, name):,}" for name in names))
    console().print(table)


def _print_proof(proof: PeriodProof) -> None:
    table = Table("Month", box=None, header_style="bold", pad_edge=False)
    names = ("stored", "billed", "free", "unresolved", "not_invoiced", "invoices", "lines")
    for name in names:
        table.add_column(name.replace("_", " ").capitalize(), justify="right")
    table.add_row(proof.period, *(f"{getattr(proof, name):,}" for name in names))
    console().print(table)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], object] | None]:
    """A bar on the terminal, if there is one."""
    errors = Console(stderr=True)
    if not errors.is_terminal:
        yield None
        return
    columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.completed:,.0f} events"), TimeElapsedColumn()
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("prove", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
