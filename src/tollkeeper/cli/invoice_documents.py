"""``tollkeeper invoices pdf``, ``html``, ``email`` and ``emails``: what customers get to see."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tollkeeper.cli.editing import edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.errors import ConfigurationError
from tollkeeper.service.documents.finding import credit_note_paper, invoice_paper
from tollkeeper.service.documents.mailing import send_again
from tollkeeper.service.listing import list_records
from tollkeeper.store.invoices import InvoiceEmail

if TYPE_CHECKING:
    from tollkeeper.service.documents.papers import Paper
    from tollkeeper.store.protocols import Records

__all__ = ["add_document_commands"]

COLUMNS = ("id", "created_at", "address", "state", "attempts", "error")
NUMBER = typer.Argument(metavar="NUMBER", help="Number or id of the invoice.")
CREDIT_NOTE = typer.Option(False, "--credit-note", help="NUMBER is that of a credit note.")
OUTPUT = typer.Option(
    None, "-o", "--output", metavar="FILE", help="Where to write; - is the terminal or a pipe.", show_default=False
)


def add_document_commands(app: typer.Typer) -> None:
    """Put the commands of documents beside the others of invoices."""
    for name, command in (("pdf", pdf), ("html", html), ("email", email), ("emails", emails)):
        app.command(name)(command)


def pdf(
    number: str = NUMBER, *, output: str = OUTPUT, credit_note: bool = CREDIT_NOTE, store: StoreOption = None
) -> None:
    """Write an invoice as PDF, to NUMBER.pdf unless -o says where."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        paper = _paper(records, number, credit_note=credit_note)
    _write(paper.pdf(), output or f"{paper.filename}.pdf")


def html(
    number: str = NUMBER, *, output: str = OUTPUT, credit_note: bool = CREDIT_NOTE, store: StoreOption = None
) -> None:
    """Write an invoice as an HTML page that needs nothing else, to NUMBER.html unless -o says where."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        paper = _paper(records, number, credit_note=credit_note)
    _write(paper.html().encode(), output or f"{paper.filename}.html")


def email(
    number: str = NUMBER,
    *,
    to: str = typer.Option(
        None, "--to", metavar="ADDRESS", help="Another address than the customer's.", show_default=False
    ),
    credit_note: bool = CREDIT_NOTE,
    store: StoreOption = None,
) -> None:
    """Have the service send an invoice by e-mail, also once more."""
    with edited(store) as (_, edit):
        queued = send_again(edit, _paper(edit.records, number, credit_note=credit_note), to)
    typer.echo(f"Will send {queued.id} to {queued.address}.")


def emails(
    number: str = NUMBER,
    *,
    credit_note: bool = CREDIT_NOTE,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List the letters of an invoice, and what became of them."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        subject = _paper(records, number, credit_note=credit_note).subject
        found = list_records(records, InvoiceEmail, limit=1_000, subject=subject.id).items
    print_records(found, COLUMNS, as_json=as_json, none="No letters.")


def _paper(records: Records, number: str, *, credit_note: bool) -> Paper:
    return credit_note_paper(records, number) if credit_note else invoice_paper(records, number)


def _write(document: bytes, output: str) -> None:
    if output == "-":
        sys.stdout.buffer.write(document)
        return
    try:
        Path(output).write_bytes(document)
    except OSError as error:
        raise ConfigurationError(f"Cannot write {output}: {error.strerror}.") from None
    typer.echo(f"Wrote {output}.")
