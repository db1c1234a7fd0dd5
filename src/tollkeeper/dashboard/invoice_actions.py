"""What can be done with an invoice from its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, post
from litestar.response import Redirect

from tollkeeper.dashboard.forms import filled
from tollkeeper.dashboard.invoice_page import show_invoice
from tollkeeper.dashboard.view import parse_view
from tollkeeper.errors import ConflictError, InvalidRequestError
from tollkeeper.service.audit import editing
from tollkeeper.service.documents.finding import invoice_paper
from tollkeeper.service.documents.mailing import send_again
from tollkeeper.service.invoicing.by_hand import finalize_invoice, work_out_draft
from tollkeeper.service.invoicing.crediting import CreditedLine, NewCreditNote, issue_credit_note
from tollkeeper.service.invoicing.paying import pay_invoice, void_invoice
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.service.listing import find_record
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from litestar.di import NamedDependency
    from litestar.params import FromPath, URLEncodedBody

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.bootstrap import Service

__all__ = ["INVOICE_ACTIONS"]

WRITES = {"writes": True}


@post("/invoices/{invoice:str}/finalize", opt=WRITES, sync_to_thread=True)
def finalize(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    invoice: FromPath[str],
) -> Response[Any]:
    """Work a draft out with the newest calls, and make it final."""
    worked = work_out_draft(service, invoice)
    return _change(
        request, pages, service, invoice, lambda edit: finalize_invoice(edit, service.settings, invoice, worked)
    )


@post("/invoices/{invoice:str}/pay", opt=WRITES, sync_to_thread=True)
def pay(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    invoice: FromPath[str],
) -> Response[Any]:
    """Say that it is paid."""
    return _change(request, pages, service, invoice, lambda edit: pay_invoice(edit, invoice))


@post("/invoices/{invoice:str}/void", opt=WRITES, sync_to_thread=True)
def void(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    invoice: FromPath[str],
) -> Response[Any]:
    """Take it back; a draft is gone then, and the list is shown."""
    return _change(request, pages, service, invoice, lambda edit: void_invoice(edit, invoice))


@post("/invoices/{invoice:str}/credit", opt=WRITES, sync_to_thread=True)
def credit(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    invoice: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
) -> Response[Any]:
    """Give back a line, or a part of one, or all that is left."""
    return _change(
        request,
        pages,
        service,
        invoice,
        lambda edit: issue_credit_note(edit, service.settings, invoice, _note(edit, invoice, data)),
    )


@post("/invoices/{invoice:str}/send", opt=WRITES, sync_to_thread=True)
def send(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    invoice: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
) -> Response[Any]:
    """Have it sent by e-mail."""
    address = str(data.get("address", "")).strip() or None
    return _change(
        request, pages, service, invoice, lambda edit: send_again(edit, invoice_paper(edit.records, invoice), address)
    )


def _change(
    request: Request[Any, Any, Any],
    pages: Pages,
    service: Service,
    invoice_id: str,
    verb: Callable[[Edit], Any],
) -> Response[Any]:
    """Run a verb in the name of who is logged in; what is refused is said on the page."""
    try:
        with editing(service.catalog, request.state["token"].name) as edit:
            verb(edit)
            is_there = edit.records.get(Invoice, invoice_id) is not None
    except (ConflictError, InvalidRequestError) as error:
        return show_invoice(request, pages, service, invoice_id, problem=error)
    address = parse_view(request).url(f"/invoices/{invoice_id}" if is_there else "/invoices")
    return Redirect(address, status_code=303)


def _note(edit: Edit, invoice_id: str, data: Mapping[str, Any]) -> NewCreditNote:
    """Read the form: a line and how much of it, all of it without an amount; without a line, all that is left."""
    if not str(data.get("line", "")).strip():
        return filled(NewCreditNote, data, "reason")
    n = filled(CreditedLine, {**data, "n": data["line"], "amount": data.get("amount") or "0"}, "n", "amount")
    if not str(data.get("amount", "")).strip():
        lines = invoice_statement(find_record(edit.records, Invoice, invoice_id)).invoice.lines
        whole = [line.net for place, line in enumerate(lines, 1) if place == n.n]
        n = msgspec.structs.replace(n, amount=whole[0] if whole else n.amount)
    return filled(NewCreditNote, data, "reason", lines=[n])


INVOICE_ACTIONS = (finalize, pay, void, credit, send)
