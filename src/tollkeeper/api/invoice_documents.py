"""Invoices and credit notes as people read them, and their letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.documents.finding import credit_note_paper, invoice_paper
from tollkeeper.service.documents.html import content_policy
from tollkeeper.service.documents.mailing import send_again
from tollkeeper.service.listing import Listed, list_records
from tollkeeper.store.invoices import InvoiceEmail

if TYPE_CHECKING:
    from tollkeeper.service.documents.papers import Paper

__all__ = ["DOCUMENT_HANDLERS", "NewEmail"]

TAGS = ["Invoices"]
INVOICE, CREDIT_NOTE = "/v1/invoices/{invoice:str}", "/v1/credit-notes/{credit_note:str}"
HTML, PDF = "text/html", "application/pdf"


class NewEmail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a letter goes; without an address, to the customer's."""

    address: str | None = None


@get(f"{INVOICE}/html", sync_to_thread=True, media_type=HTML, summary="Show an invoice as HTML", tags=TAGS)
def get_html(service: NamedDependency[Service], invoice: FromPath[str]) -> Response[str]:
    """Show an invoice, by its id or its number, as a page of its own."""
    with service.catalog.reading() as records:
        paper = invoice_paper(records, invoice)
    policy = f"{content_policy()}; frame-ancestors 'self'"
    return Response(paper.html(), headers=_headers(paper, "html") | {"Content-Security-Policy": policy})


@get(f"{INVOICE}/pdf", sync_to_thread=True, media_type=PDF, summary="Show an invoice as PDF", tags=TAGS)
def get_pdf(service: NamedDependency[Service], invoice: FromPath[str]) -> Response[bytes]:
    """Show an invoice, by its id or its number, as a file to keep; a final one is always the same bytes."""
    with service.catalog.reading() as records:
        paper = invoice_paper(records, invoice)
    return Response(paper.pdf(), headers=_headers(paper, "pdf"))


@get(f"{CREDIT_NOTE}/pdf", sync_to_thread=True, media_type=PDF, summary="Show a credit note as PDF", tags=TAGS)
def get_credit_note_pdf(service: NamedDependency[Service], credit_note: FromPath[str]) -> Response[bytes]:
    """Show a credit note, by its id or its number, as a file to keep."""
    with service.catalog.reading() as records:
        paper = credit_note_paper(records, credit_note)
    return Response(paper.pdf(), headers=_headers(paper, "pdf"))


@get(f"{INVOICE}/emails", sync_to_thread=True, summary="List the letters of an invoice", tags=TAGS)
def get_emails(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    invoice: FromPath[str],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[InvoiceEmail]]:
    """List the letters of an invoice, oldest first, with what became of each."""
    with service.catalog.reading() as records:
        subject = invoice_paper(records, invoice).subject
        return paged(request, list_records(records, InvoiceEmail, after=after, limit=limit, subject=subject.id))


@post(f"{INVOICE}/email", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Send an invoice", tags=TAGS)
def post_email(
    write: NamedDependency[Write], invoice: FromPath[str], data: JSONBody[NewEmail]
) -> Response[InvoiceEmail]:
    """Have an invoice sent by e-mail, also once more; ``emails`` says what became of it."""
    return write.do(lambda edit: send_again(edit, invoice_paper(edit.records, invoice), data.address), data)


@post(f"{CREDIT_NOTE}/email", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Send a credit note", tags=TAGS)
def post_credit_note_email(
    write: NamedDependency[Write], credit_note: FromPath[str], data: JSONBody[NewEmail]
) -> Response[InvoiceEmail]:
    """Have a credit note sent by e-mail, also once more."""
    return write.do(lambda edit: send_again(edit, credit_note_paper(edit.records, credit_note), data.address), data)


def _headers(paper: Paper, ending: str) -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "Content-Disposition": f'inline; filename="{paper.filename}.{ending}"',
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


DOCUMENT_HANDLERS = [get_html, get_pdf, get_credit_note_pdf, get_emails, post_email, post_credit_note_email]
