"""Showing invoices, what they say, and credit notes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec.structs import fields

from tollkeeper.billing.credit_note import CreditNote
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.packing import unpack
from tollkeeper.service.invoicing.statements import AMOUNTS, invoice_statement
from tollkeeper.service.invoicing.views import (
    CouponLine,
    CreditedLineView,
    CreditNoteView,
    InvoiceDetail,
    InvoiceView,
    LineView,
    StatementView,
    WalletLine,
)
from tollkeeper.store.invoices import IssuedCreditNote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.statement import Statement
    from tollkeeper.store.invoices import Invoice
    from tollkeeper.store.protocols import Records

__all__ = ["show_credit_note", "show_detail", "show_invoices", "show_statement"]

MICRO = 1_000_000


def show_invoices(records: Records, invoices: Sequence[Invoice]) -> list[InvoiceView]:
    """Invoices as they are listed, in the same order."""
    names = {one.id: one.name for one in records.find(Customer, id=sorted({invoice.customer for invoice in invoices}))}
    return [InvoiceView(customer_name=names.get(invoice.customer, ""), **_shared(invoice)) for invoice in invoices]


def show_detail(records: Records, invoice: Invoice) -> InvoiceDetail:
    """An invoice with all that it says."""
    (listed,) = show_invoices(records, [invoice])
    said = show_statement(invoice_statement(invoice))
    own = {name: getattr(said, name) for name in said.__struct_fields__ if name not in InvoiceView.__struct_fields__}
    notes = [note.number for note in records.find(IssuedCreditNote, invoice=invoice.id)]
    return InvoiceDetail(
        credit_notes=notes, **{name: getattr(listed, name) for name in listed.__struct_fields__}, **own
    )


def show_statement(statement: Statement) -> StatementView:
    """What an invoice says, or would."""
    said = statement.invoice
    names = {coupon.id: coupon.name for coupon in statement.terms.coupons}
    return StatementView(
        currency=said.currency,
        seller=statement.seller,
        buyer=statement.buyer,
        language=statement.language,
        lines=[_line(statement, place) for place in range(len(said.lines))],
        coupons=[CouponLine(names[use.coupon], use.amount) for use in said.coupons if use.amount],
        taxes=said.taxes,
        wallets=[WalletLine(draw.wallet, draw.amount) for draw in said.wallets],
        **{name: getattr(said, name) for name in AMOUNTS},
    )


def show_credit_note(note: IssuedCreditNote) -> CreditNoteView:
    """A credit note as it is shown."""
    said = unpack(note.document, CreditNote)
    return CreditNoteView(
        lines=[CreditedLineView(place + 1, amount) for place, amount in sorted(said.lines.items())],
        taxes=said.taxes,
        **{
            field.name: getattr(note, field.name)
            for field in fields(CreditNoteView)
            if field.name not in {"lines", "taxes"}
        },
    )


def _shared(invoice: Invoice) -> dict[str, Any]:
    return {name: getattr(invoice, name) for name in InvoiceView.__struct_fields__ if name != "customer_name"}


def _line(statement: Statement, place: int) -> LineView:
    line, stated = statement.invoice.lines[place], statement.charges[place]
    part = None if stated.part is None else statement.parts[stated.part]
    return LineView(
        n=place + 1,
        kind=line.kind,
        name=line.name,
        subscription=part.subscription if part else None,
        plan=part.plan.name if part else None,
        start=part.start if part else None,
        end=part.end if part else None,
        late=bool(part and part.earlier),
        quantity=None if line.quantity is None else Decimal(line.quantity) / MICRO,
        amount=line.amount,
        discount=line.discount,
        net=line.net,
        taxes=line.taxes,
    )
