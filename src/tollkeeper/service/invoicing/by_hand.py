"""Invoices by hand: of lines that somebody writes, and drafts that somebody makes final."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from tollkeeper.billing.charge import Charge
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.money import check_payable
from tollkeeper.billing.price import check_amount
from tollkeeper.billing.statement import StatedCharge
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.fields import Currency, Name
from tollkeeper.service.invoicing.finalizing import issue
from tollkeeper.service.invoicing.keeping import whole_bases
from tollkeeper.service.invoicing.lines import keep_lines
from tollkeeper.service.invoicing.months import month_span
from tollkeeper.service.invoicing.past import final_ids
from tollkeeper.service.invoicing.planning import plan_work
from tollkeeper.service.invoicing.statements import Basis, invoice_record, invoice_statement, state
from tollkeeper.service.invoicing.surroundings import load_surroundings, seller_of
from tollkeeper.service.invoicing.working import work_out
from tollkeeper.service.listing import find_record
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.invoicing.surroundings import Surroundings
    from tollkeeper.service.invoicing.working import Worked
    from tollkeeper.settings import Settings
    from tollkeeper.store.protocols import Records

__all__ = ["NewInvoice", "NewLine", "draft_by_hand", "finalize_invoice", "work_out_draft"]

MAX_LINES = 500


class NewLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of an invoice by hand; an ``amount`` below zero takes off. Without ``taxes`` it bears all."""

    name: Name
    amount: Decimal
    taxes: Annotated[list[Name], Meta(max_length=10)] | None = None


class NewInvoice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invoice by hand, for a customer by id or external id; without a ``currency``, in the customer's."""

    customer: Name
    currency: Currency | None = None
    lines: Annotated[list[NewLine], Meta(min_length=1, max_length=MAX_LINES)]


def draft_by_hand(edit: Edit, settings: Settings, new: NewInvoice) -> Invoice:
    """Draft an invoice of some lines, which bills no month; raises UnprocessableError."""
    customer = find_customer(edit.records, new.customer)
    currency = new.currency or customer.currency
    if currency is None:
        raise UnprocessableError("The customer has no currency: give the invoice's, e.g. EUR.")
    charges = tuple(StatedCharge(None, _charge(line, currency)) for line in new.lines)
    basis, around = Basis(currency=currency, charges=charges), _around(edit.records, customer)
    statement = state(basis, around, seller_of(settings), edit.now)
    made = invoice_record(statement, customer=customer.id, period=None, span=(edit.now, edit.now), now=edit.now)
    edit.add(made)
    keep_lines(edit.records, made, statement, {})
    return made


def work_out_draft(service: Service, invoice_id: str) -> Worked | None:
    """Work a month's draft out again with the newest events; None when there is nothing to be worked out."""
    with service.catalog.reading() as records:
        found = records.get(Invoice, invoice_id)
    if found is None or found.state != "draft" or found.period is None:
        return None
    until = service.events.last_seq()
    plan = plan_work(service, found.period, [found.customer], until)
    return next(iter(list(work_out(service, found.period, plan.works, until))), None)


def finalize_invoice(edit: Edit, settings: Settings, invoice_id: str, worked: Worked | None) -> Invoice:
    """Make a draft final now, as ``work_out_draft`` worked it out; raises NotFoundError or ConflictError."""
    draft = find_record(edit.records, Invoice, invoice_id)
    if draft.state != "draft":
        raise ConflictError(f"The invoice {draft.number} is {draft.state} already: only a draft can be made final.")
    customer = find_record(edit.records, Customer, draft.customer)
    around = _around(edit.records, customer)
    if draft.period is None:
        basis = Basis(currency=draft.currency, charges=invoice_statement(draft).charges)
        return issue(edit, settings, draft, basis, around=around, apis={})
    span = month_span(draft.period, customer.time_zone)
    if edit.now < span.end:
        raise ConflictError(f"{draft.period} is not over where the customer is: wait until {span.end.isoformat()}.")
    if worked is None or worked.seen.ids != _final(edit.records, draft, worked):
        raise ConflictError("The customer's invoices were changed meanwhile: try again.")
    bases = whole_bases(worked, around, span.end)
    if draft.currency not in bases:
        raise ConflictError("There is nothing to be paid any longer: void the draft, or run the month again.")
    return issue(edit, settings, draft, bases[draft.currency], around=around, apis=worked.apis)


def _final(records: Records, draft: Invoice, worked: Worked) -> set[str]:
    return final_ids(records, [draft.customer], draft.period or "", of_past=worked.seen.of_past)[draft.customer]


def _around(records: Records, customer: Customer) -> Surroundings:
    return load_surroundings(records, [customer])[customer.id]


def _charge(line: NewLine, currency: str) -> Charge:
    if not check_amount("amount", line.amount.copy_abs()):
        raise UnprocessableError(f"The amount of {line.name!r} is 0: give what the line comes to.")
    check_payable("amount", line.amount, currency)
    return Charge(
        kind="one_off",
        name=line.name,
        exact=Fraction(line.amount),
        amount=line.amount,
        taxes=None if line.taxes is None else tuple(line.taxes),
    )
