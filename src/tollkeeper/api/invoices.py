"""``/v1/invoices``: what is billed, month by month and by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.invoicing.by_hand import NewInvoice, draft_by_hand, finalize_invoice, work_out_draft
from tollkeeper.service.invoicing.line_events import list_line_events
from tollkeeper.service.invoicing.months import check_month, month_of
from tollkeeper.service.invoicing.paying import pay_invoice, void_invoice
from tollkeeper.service.invoicing.preview import draft_of
from tollkeeper.service.invoicing.showing import show_detail, show_invoices, show_statement
from tollkeeper.service.invoicing.views import InvoiceDetail, InvoiceView, StatementView
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.store.invoices import Invoice
from tollkeeper.store.protocols import StoredEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import Records

__all__ = ["INVOICE_HANDLERS"]

TAGS = ["Invoices"]
ALL = "/v1/invoices"
ONE = f"{ALL}/{{invoice:str}}"
State = Literal["draft", "finalized", "paid", "void"]
MonthQuery = Annotated[str | None, QueryParameter(description="The month that they bill, as 2026-10.")]


class InvoicePreview(Struct, frozen=True, kw_only=True):
    """What a customer's invoices of a month say by now, one a currency, and what was used and can't be charged."""

    customer: str
    period: str
    invoices: list[StatementView]
    problems: tuple[str, ...]


@get(ALL, sync_to_thread=True, summary="List invoices", tags=TAGS)
def get_invoices(
    *,
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    customer: Annotated[str | None, QueryParameter(description="Id of a customer.")] = None,
    period: MonthQuery = None,
    invoice_state: Annotated[State | None, QueryParameter(name="state", description="Only those in a state.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[InvoiceView]]:
    """List invoices, drafts and void ones too, oldest first."""
    month = None if period is None else check_month(period)
    with service.catalog.reading() as records:
        listed = list_records(
            records, Invoice, after=after, limit=limit, customer=customer, period=month, state=invoice_state
        )
        return paged(request, Listed(show_invoices(records, listed.items), listed.next))


@post(ALL, sync_to_thread=True, opt=ADMIN, summary="Draft an invoice by hand", tags=TAGS)
def post_invoice(write: NamedDependency[Write], data: JSONBody[NewInvoice]) -> Response[InvoiceDetail]:
    """Draft an invoice of some lines, which bills no month."""

    def make(edit: Edit) -> InvoiceDetail:
        return show_detail(edit.records, draft_by_hand(edit, write.service.settings, data))

    return write.create(make, data, "invoices")


@get(ONE, sync_to_thread=True, summary="Show an invoice", tags=TAGS)
def get_invoice(service: NamedDependency[Service], invoice: FromPath[str]) -> Response[InvoiceDetail]:
    """Show an invoice with its lines."""
    with service.catalog.reading() as records:
        return shown(_show(records, invoice))


@post(f"{ONE}/finalize", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Make a draft final", tags=TAGS)
def post_finalize(write: NamedDependency[Write], invoice: FromPath[str]) -> Response[InvoiceDetail]:
    """Work a draft out with the newest events, and give it its number; its month is to be over."""
    worked = work_out_draft(write.service, invoice)
    return write.change(lambda edit: finalize_invoice(edit, write.service.settings, invoice, worked), _shower(invoice))


@post(f"{ONE}/pay", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Say that it is paid", tags=TAGS)
def post_pay(write: NamedDependency[Write], invoice: FromPath[str]) -> Response[InvoiceDetail]:
    """Say that what was due is paid."""
    return write.change(lambda edit: pay_invoice(edit, invoice), _shower(invoice))


@post(f"{ONE}/void", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Take an invoice back", tags=TAGS)
def post_void(write: NamedDependency[Write], invoice: FromPath[str]) -> Response[InvoiceDetail]:
    """Take an unpaid invoice back, with all that it used up; a draft is gone."""
    gone: list[Invoice] = []
    return write.change(
        lambda edit: gone.append(void_invoice(edit, invoice)),
        lambda records: show_detail(records, gone[0]) if gone else _show(records, invoice),
    )


@get(f"{ONE}/lines/{{n:int}}/events", sync_to_thread=True, summary="List the events of a line", tags=TAGS)
def get_line_events(
    *,
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    invoice: FromPath[str],
    n: FromPath[int],
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[StoredEvent]]:
    """List the very events that a line charges, oldest first."""
    return paged(request, list_line_events(service, invoice, n, after=after, limit=limit))


@get("/v1/customers/{customer:str}/invoice-preview", sync_to_thread=True, summary="Preview invoices", tags=TAGS)
def get_preview(
    service: NamedDependency[Service], customer: FromPath[str], period: MonthQuery = None
) -> Response[InvoicePreview]:
    """Work out what a customer's invoices of a month say by now; left out, of the running month (UTC)."""
    now = datetime.now(UTC)
    month = period or month_of(now)
    found = draft_of(service, customer, month, now)
    return shown(
        InvoicePreview(
            customer=customer,
            period=month,
            invoices=[show_statement(one) for one in found.statements.values()],
            problems=found.problems,
        )
    )


def _shower(invoice: str) -> Callable[[Records], InvoiceDetail]:
    return lambda records: _show(records, invoice)


def _show(records: Records, invoice: str) -> InvoiceDetail:
    return show_detail(records, find_record(records, Invoice, invoice))


INVOICE_HANDLERS = [
    get_invoices,
    post_invoice,
    get_invoice,
    post_finalize,
    post_pay,
    post_void,
    get_line_events,
    get_preview,
]
