"""``/v1/credit-notes``: what was given back of invoices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.invoicing.crediting import NewCreditNote, issue_credit_note
from tollkeeper.service.invoicing.showing import show_credit_note
from tollkeeper.service.invoicing.views import CreditNoteView
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.store.invoices import IssuedCreditNote

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit

__all__ = ["CREDIT_NOTE_HANDLERS"]

TAGS = ["Invoices"]


@post("/v1/invoices/{invoice:str}/credit-notes", sync_to_thread=True, opt=ADMIN, summary="Give back", tags=TAGS)
def post_credit_note(
    write: NamedDependency[Write], invoice: FromPath[str], data: JSONBody[NewCreditNote]
) -> Response[CreditNoteView]:
    """Give back lines of a final invoice, or, without lines, all that is left of it."""

    def make(edit: Edit) -> CreditNoteView:
        return show_credit_note(issue_credit_note(edit, write.service.settings, invoice, data))

    return write.create(make, data, "credit-notes")


@get("/v1/credit-notes", sync_to_thread=True, summary="List credit notes", tags=TAGS)
def get_credit_notes(
    *,
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    invoice: Annotated[str | None, QueryParameter(description="Id of an invoice.")] = None,
    customer: Annotated[str | None, QueryParameter(description="Id of a customer.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[CreditNoteView]]:
    """List credit notes, oldest first."""
    with service.catalog.reading() as records:
        listed = list_records(records, IssuedCreditNote, after=after, limit=limit, invoice=invoice, customer=customer)
        return paged(request, Listed([show_credit_note(note) for note in listed.items], listed.next))


@get("/v1/credit-notes/{credit_note:str}", sync_to_thread=True, summary="Show a credit note", tags=TAGS)
def get_credit_note(service: NamedDependency[Service], credit_note: FromPath[str]) -> Response[CreditNoteView]:
    """Show a credit note."""
    with service.catalog.reading() as records:
        return shown(show_credit_note(find_record(records, IssuedCreditNote, credit_note)))


CREDIT_NOTE_HANDLERS = [post_credit_note, get_credit_notes, get_credit_note]
