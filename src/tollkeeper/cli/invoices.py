"""``tollkeeper invoices``: what is billed, month by month and by hand."""

from __future__ import annotations

from enum import StrEnum

import typer

from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.invoice_documents import add_document_commands
from tollkeeper.cli.invoice_lines import add_line_commands
from tollkeeper.cli.invoice_run import run_command
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.invoicing.by_hand import NewInvoice, draft_by_hand, finalize_invoice, work_out_draft
from tollkeeper.service.invoicing.crediting import CreditedLine, NewCreditNote, issue_credit_note
from tollkeeper.service.invoicing.finding import find_invoice
from tollkeeper.service.invoicing.months import check_month
from tollkeeper.service.invoicing.paying import pay_invoice, void_invoice
from tollkeeper.service.invoicing.showing import show_credit_note, show_invoices
from tollkeeper.service.listing import list_records
from tollkeeper.store.invoices import Invoice, IssuedCreditNote

__all__ = ["invoices_app"]

INVOICE = typer.Argument(metavar="INVOICE", help="Number or id of the invoice.")
LINE = typer.Option(
    None, "--line", metavar="N=AMOUNT", help="Give back so much of the line N; repeatable; left out: all."
)
ITEM = typer.Option(..., "--line", metavar="NAME=AMOUNT", help="A line with its amount; repeatable.")
AS_JSON = typer.Option(False, "--json", help="Print JSON instead of a table.")  # Typer's default
COLUMNS = ("id", "number", "customer_name", "period", "state", "currency", "total", "due", "at", "due_at")
NOTE_COLUMNS = ("id", "number", "invoice", "customer", "currency", "total", "reason", "at")
invoices_app = typer.Typer(no_args_is_help=True, help="Invoices: what is billed, month by month and by hand.")
invoices_app.command("run")(run_command)


class State(StrEnum):
    """Which invoices to show."""

    draft = "draft"
    finalized = "finalized"
    paid = "paid"
    void = "void"


@invoices_app.command("list")
def list_command(
    *,
    customer: str = typer.Option(None, metavar="CUSTOMER", help="Only of this customer: id or external id."),
    period: str = typer.Option(None, metavar="MONTH", help="Only those that bill this month, as 2026-10."),
    state: State = typer.Option(None, help="Only those in a state."),
    limit: int = typer.Option(50, min=1, max=1000, metavar="N", help="Invoices at most, the oldest first."),
    after: str = typer.Option(None, metavar="ID", help="Only those behind the one with this id."),
    as_json: bool = AS_JSON,
    store: StoreOption = None,
) -> None:
    """List invoices, drafts and void ones too."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        listed = list_records(
            records,
            Invoice,
            after=after,
            limit=limit,
            customer=find_customer(records, customer).id if customer else None,
            period=check_month(period) if period else None,
            state=state.value if state else None,
        )
        shown = show_invoices(records, listed.items)
    none = "No such invoices: 'tollkeeper invoices run' makes those of a month."
    print_records(shown, COLUMNS, as_json=as_json, none=none)
    if listed.next:
        typer.echo(f"There are more: --after {listed.next} shows them.", err=True)


@invoices_app.command("add")
def add(
    customer: str = typer.Argument(metavar="CUSTOMER", help="Id or external id of the customer."),
    *,
    lines: list[str] = ITEM,
    currency: str = typer.Option(None, help="Currency; left out: the customer's.", show_default=False),
    store: StoreOption = None,
) -> None:
    """Draft an invoice of some lines by hand and print its id."""
    items = [dict(zip(("name", "amount"), _halves(text), strict=True)) for text in lines]
    new = checked(NewInvoice, customer=customer, currency=currency, lines=items)
    with edited(store) as (service, edit):
        made = draft_by_hand(edit, service.settings, new)
    typer.echo(made.id)


@invoices_app.command("finalize")
def finalize(invoice: str = INVOICE, *, store: StoreOption = None) -> None:
    """Make a draft final before its days of grace are over, and print its number; its month is to be over."""
    with opened(store, must_exist=True) as service:
        with service.catalog.reading() as records:
            found = find_invoice(records, invoice)
        worked = work_out_draft(service, found.id)
    with edited(store) as (service, edit):
        final = finalize_invoice(edit, service.settings, found.id, worked)
    typer.echo(f"{final.number} {final.total} {final.currency}, {final.due} due.")


@invoices_app.command("pay")
def pay(invoice: str = INVOICE, *, store: StoreOption = None) -> None:
    """Say that what was due is paid."""
    with edited(store) as (_, edit):
        paid = pay_invoice(edit, find_invoice(edit.records, invoice).id)
    typer.echo(f"{paid.number} is paid.")


@invoices_app.command("void")
def void(invoice: str = INVOICE, *, store: StoreOption = None) -> None:
    """Take an unpaid invoice back, with all that it used up; a draft is gone."""
    with edited(store) as (_, edit):
        found = void_invoice(edit, find_invoice(edit.records, invoice).id)
    typer.echo(f"{found.number or 'The draft'} is {'void' if found.number else 'gone'}.")


@invoices_app.command("credit")
def credit(
    invoice: str = INVOICE,
    *,
    lines: list[str] = LINE,
    reason: str = typer.Option(None, help="Why, as it stands on the note.", show_default=False),
    store: StoreOption = None,
) -> None:
    """Give back lines of a final invoice by a credit note, and print its number."""
    chosen = [checked(CreditedLine, **dict(zip(("n", "amount"), _halves(text), strict=True))) for text in lines or []]
    with edited(store) as (service, edit):
        found = find_invoice(edit.records, invoice)
        note = issue_credit_note(edit, service.settings, found.id, NewCreditNote(lines=chosen or None, reason=reason))
    typer.echo(f"{note.number} gives back {note.total} {note.currency}.")


@invoices_app.command("credit-notes")
def credit_notes(
    invoice: str = typer.Argument(None, metavar="INVOICE", help="Only those of this invoice: number or id."),
    *,
    as_json: bool = AS_JSON,
    store: StoreOption = None,
) -> None:
    """List credit notes."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        where = {"invoice": find_invoice(records, invoice).id} if invoice else {}
        shown = [show_credit_note(note) for note in records.find(IssuedCreditNote, **where)]
    none = "No credit notes: 'tollkeeper invoices credit' gives back of an invoice."
    print_records(shown, NOTE_COLUMNS, as_json=as_json, none=none)


def _halves(text: str) -> tuple[str, str]:
    name, equals, amount = text.rpartition("=")
    if not equals or not name:
        raise typer.BadParameter(f"--line is {text!r}: give both sides of =, as 1=2.50 or 'Set-up=100'.")
    return name, amount


add_line_commands(invoices_app)
add_document_commands(invoices_app)
