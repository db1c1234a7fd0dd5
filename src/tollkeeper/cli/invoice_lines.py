"""``tollkeeper invoices show`` and ``lines``: what an invoice says, and the events that its lines charge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import typer
from rich.table import Table

from tollkeeper.cli.options import StoreOption, console, opened
from tollkeeper.service.invoicing.finding import find_invoice
from tollkeeper.service.invoicing.line_events import list_line_events
from tollkeeper.service.invoicing.showing import show_detail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from tollkeeper.service.invoicing.views import InvoiceDetail
    from tollkeeper.store.protocols import StoredEvent

__all__ = ["add_line_commands"]

INVOICE = typer.Argument(metavar="INVOICE", help="Number or id of the invoice.")


def add_line_commands(app: typer.Typer) -> None:
    """Put the commands that show invoices among the others."""
    app.command("show")(_show)
    app.command("lines")(_lines)


def _show(
    invoice: str = INVOICE,
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """Show an invoice with its lines and sums."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = show_detail(records, find_invoice(records, invoice))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    _print(found)


def _lines(
    invoice: str = INVOICE,
    n: int = typer.Argument(metavar="N", help="The line, from 1."),
    *,
    limit: int = typer.Option(50, min=1, max=1000, metavar="N", help="Events at most, the oldest first."),
    after: str = typer.Option(None, metavar="CURSOR", help="Only those behind a cursor that this command printed."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List the very events that a line of an invoice charges."""
    with opened(store, must_exist=True) as service:
        with service.catalog.reading() as records:
            found = find_invoice(records, invoice)
        listed = list_line_events(service, found.id, n, after=after, limit=limit)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(listed.items)).decode())
    else:
        _print_events(listed.items)
    if listed.next:
        typer.echo(f"There are more: --after {listed.next} shows them.", err=True)


def _print(found: InvoiceDetail) -> None:
    out = console()
    title = f"{found.number or 'Draft'} for {found.buyer.name}, {found.state}"
    out.print(f"{title}, {found.starts_at:%Y-%m-%d} to {found.ends_at:%Y-%m-%d}, {found.currency}", soft_wrap=True)
    table = Table("", "Line", "Of", box=None, header_style="bold", pad_edge=False)
    for name in ("Quantity", "Amount", "Discount", "Net"):
        table.add_column(name, justify="right")
    for line in found.lines:
        of = "" if line.start is None or line.end is None else f"{line.start:%Y-%m-%d} to {line.end:%Y-%m-%d}"
        quantity = "" if line.quantity is None else _number(line.quantity)
        said = line.kind.replace("_", " ").capitalize() if line.name == line.kind else line.name
        name = f"{said}{' (late)' if line.late else ''}"
        amounts = (line.amount, line.discount, line.net)
        table.add_row(str(line.n), name, of, quantity, *(f"{amount:,f}" for amount in amounts))
    out.print(table)
    sums = [("Net", found.net), *((f"{one.name} {one.percent} %", one.amount) for one in found.taxes)]
    sums += [
        ("Total", found.total),
        *(("Paid from credit", -draw.amount) for draw in found.wallets),
        ("Due", found.due),
    ]
    totals = Table("", box=None, show_header=False, pad_edge=False)
    totals.add_column(justify="right")
    for name, amount in sums:
        totals.add_row(name, f"{amount:,f}")
    out.print(totals)


def _print_events(events: Sequence[StoredEvent]) -> None:
    table = Table(
        "Seq", "Time (UTC)", "Method", "Route", "Status", "Units", box=None, header_style="bold", pad_edge=False
    )
    for stored in events:
        event = stored.event
        table.add_row(
            str(stored.seq),
            f"{event.time:%Y-%m-%d %H:%M:%S.%f}",
            event.method,
            event.route or event.path,
            str(event.status_code),
            _number(event.units),
        )
    console().print(table if events else "The line charges no events.")


def _number(amount: Decimal) -> str:
    text = f"{amount:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
