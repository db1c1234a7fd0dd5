"""Credit notes: giving back lines of a final invoice, with their taxes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from tollkeeper.billing.credit_note import CreditNote, credit_invoice
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.money import total
from tollkeeper.billing.packing import pack, unpack
from tollkeeper.billing.price import check_amount
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.service.invoicing.finalizing import announce
from tollkeeper.service.invoicing.lines import mark_lines
from tollkeeper.service.invoicing.numbers import CREDIT_NOTES, take_number
from tollkeeper.service.invoicing.past import FINAL
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.service.listing import find_record
from tollkeeper.store.invoices import Invoice, IssuedCreditNote
from tollkeeper.store.selling import CustomerWallet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tollkeeper.service.audit import Edit
    from tollkeeper.settings import Settings

__all__ = ["CreditedLine", "NewCreditNote", "issue_credit_note"]

PREFIX = "CN-"


class CreditedLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of the line ``n``, from 1, is given back, without taxes; below zero of a line below zero."""

    n: Annotated[int, Meta(ge=1)]
    amount: Decimal


class NewCreditNote(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A credit note; without ``lines`` it gives back all that is left."""

    lines: Annotated[list[CreditedLine], Meta(min_length=1, max_length=10_000)] | None = None
    reason: Annotated[str, Meta(max_length=1000)] | None = None


def issue_credit_note(edit: Edit, settings: Settings, invoice_id: str, new: NewCreditNote) -> IssuedCreditNote:
    """Give back of a final invoice: less is due of one that is not paid, and what was paid becomes credit.

    Raises NotFoundError, ConflictError for a draft or a void one, UnprocessableError for more than is left.
    """
    invoice = find_record(edit.records, Invoice, invoice_id)
    if invoice.state not in FINAL:
        raise ConflictError(f"The invoice is {invoice.state}: a credit note is for one that is final or paid.")
    said = invoice_statement(invoice).invoice
    earlier = [unpack(one.document, CreditNote) for one in edit.records.find(IssuedCreditNote, invoice=invoice.id)]
    nets = [line.net for line in said.lines]
    note = credit_invoice(said, earlier, _amounts(new, nets, earlier, invoice.currency))
    if note.total <= 0:
        raise UnprocessableError(f"The note comes to {note.total} {note.currency}: give back more than 0 in all.")
    number, at = take_number(edit.records, CREDIT_NOTES, PREFIX, edit.now)
    issued = IssuedCreditNote(
        id=record_id("crn"),
        invoice=invoice.id,
        customer=invoice.customer,
        number=number,
        currency=note.currency,
        net=note.net,
        tax=note.tax,
        total=note.total,
        reason=new.reason,
        document=pack(note),
        at=at,
        created_at=edit.now,
    )
    edit.add(issued)
    _settle(edit, invoice, issued)
    announce(edit, settings, issued.id, find_record(edit.records, Customer, issued.customer))
    return issued


def _amounts(
    new: NewCreditNote, nets: Sequence[Decimal], earlier: Sequence[CreditNote], currency: str
) -> Mapping[int, Decimal]:
    """What is given back by the place of the line, from 0."""
    if new.lines is None:
        left = {
            place: total((net,), currency, less=(note.lines[place] for note in earlier if place in note.lines))
            for place, net in enumerate(nets)
        }
        amounts = {place: amount for place, amount in left.items() if amount}
        if not amounts:
            raise ConflictError("All of the invoice was given back already.")
        return amounts
    for line in new.lines:
        check_amount("amount", line.amount.copy_abs())
    amounts = {line.n - 1: line.amount for line in new.lines}
    if len(amounts) < len(new.lines):
        raise UnprocessableError("A line is given back twice: name each once.")
    unknown = [line.n for line in new.lines if line.n > len(nets)]
    if unknown:
        raise UnprocessableError(f"The invoice has no line {unknown[0]}: give one from 1 to {len(nets)}.")
    return amounts


def _settle(edit: Edit, invoice: Invoice, note: IssuedCreditNote) -> None:
    """Have less to be paid, and credit for what was paid already."""
    off = min(note.total, invoice.due) if invoice.state == "finalized" else Decimal(0)
    rest = total((note.total,), note.currency, less=(off,))
    if off:
        due = total((invoice.due,), note.currency, less=(off,))
        now = replace(invoice, due=due)
        if not due:
            now = replace(now, state="paid", paid_at=edit.now)
        edit.replace(invoice, now)
        if now.state != invoice.state:
            mark_lines(edit.records, now)
    if rest:
        edit.add(
            CustomerWallet(
                id=record_id("wal"),
                customer=note.customer,
                name=note.number,
                currency=note.currency,
                amount=rest,
                balance=rest,
                created_at=edit.now,
            )
        )
