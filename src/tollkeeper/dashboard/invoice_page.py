"""The page of one invoice, also when something that was asked for on it could not be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get
from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.statement import Statement
from tollkeeper.dashboard.errors import status_of
from tollkeeper.dashboard.invoices import InvoiceRow, invoice_rows
from tollkeeper.dashboard.statements import ShownPart, Sum, show_parts, show_sums
from tollkeeper.dashboard.view import parse_view
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.service.listing import find_record
from tollkeeper.store.invoices import Invoice, InvoiceEmail, IssuedCreditNote

if TYPE_CHECKING:
    from litestar.di import NamedDependency
    from litestar.params import FromPath

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.errors import TollkeeperError
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Records, StoredEvent

__all__ = ["INVOICE_PAGE", "show_invoice"]


class Bill(Struct, frozen=True, kw_only=True):
    """All that the page shows of an invoice; ``numbers`` are those of earlier invoices, by their ids."""

    row: InvoiceRow
    statement: Statement
    parts: list[ShownPart]
    sums: list[Sum]
    notes: list[IssuedCreditNote]
    emails: list[InvoiceEmail]
    numbers: dict[str, str]


@get("/invoices/{invoice:str}", sync_to_thread=True)
def one_invoice(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    invoice: FromPath[str],
) -> Response[bytes]:
    """Show an invoice with its lines, its credit notes and what can be done with it."""
    return show_invoice(request, pages, service, invoice)


def show_invoice(
    request: Request[Any, Any, Any],
    pages: Pages,
    service: Service,
    invoice_id: str,
    *,
    problem: TollkeeperError | None = None,
) -> Response[bytes]:
    """Render the page; ``problem`` is why something could not be done. Raises NotFoundError."""
    view = replace(parse_view(request), path=f"/invoices/{invoice_id}")
    with service.catalog.reading() as records:
        bill = _bill(records, find_record(records, Invoice, invoice_id))
    return pages.render(
        request,
        "invoice.html",
        status=status_of(problem) if problem else 200,
        view=view,
        bill=bill,
        invoice=bill.row.invoice,
        customer=bill.row.customer,
        newest=_newest(service, bill.statement) if bill.row.invoice.state == "draft" else None,
        problem=problem,
    )


def _bill(records: Records, invoice: Invoice) -> Bill:
    statement = invoice_statement(invoice)
    parts = show_parts(records, statement)
    notes = records.find(IssuedCreditNote, invoice=invoice.id)
    earlier = sorted({one for part in parts for one in part.earlier})
    return Bill(
        row=invoice_rows(records, [invoice])[0],
        statement=statement,
        parts=parts,
        sums=show_sums(records, invoice, statement),
        notes=notes,
        emails=records.find(InvoiceEmail, subject=[invoice.id, *(note.id for note in notes)]),
        numbers={one.id: one.number or "a draft" for one in records.find(Invoice, id=earlier)},
    )


def _newest(service: Service, statement: Statement) -> StoredEvent | None:
    """The newest call that was there when a draft was worked out."""
    until = max((part.until for part in statement.parts), default=0)
    return service.events.get(until) if until else None


INVOICE_PAGE = (one_invoice,)
