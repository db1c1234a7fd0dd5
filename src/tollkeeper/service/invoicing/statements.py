"""Statements: put together of charges and what is around them, and kept in the records of invoices."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.invoice import draft_invoice
from tollkeeper.billing.packing import pack, unpack
from tollkeeper.billing.statement import ChargedPart, StatedCharge, Statement
from tollkeeper.events.ids import record_id
from tollkeeper.service.invoicing.sizes import check_lines
from tollkeeper.service.invoicing.surroundings import buyer_of, item_charge
from tollkeeper.store.invoices import Invoice
from tollkeeper.store.selling import InvoiceItem

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.billing.party import Party
    from tollkeeper.service.invoicing.surroundings import Surroundings

__all__ = ["Basis", "invoice_record", "invoice_statement", "state", "with_statement"]

AMOUNTS = ("subtotal", "discount", "net", "tax", "total", "due", "credit")


class Basis(Struct, frozen=True, kw_only=True):
    """What an invoice in a currency charges: parts with their charges, then one-off lines."""

    currency: str
    parts: tuple[ChargedPart, ...] = ()
    charges: tuple[StatedCharge, ...] = ()
    items: tuple[InvoiceItem, ...] = ()


def state(basis: Basis, around: Surroundings, seller: Party, at: datetime) -> Statement:
    """Say what an invoice of a day comes to.

    Raises UnprocessableError for taxes that contradict one another, and for a line of more money than can be kept.
    """
    charges = (*basis.charges, *(StatedCharge(None, item_charge(item)) for item in basis.items))
    terms = around.terms(basis.currency, at)
    said = Statement(
        parts=basis.parts,
        charges=charges,
        terms=terms,
        invoice=draft_invoice([one.charge for one in charges], terms),
        seller=seller,
        buyer=buyer_of(around),
        language=around.profile.language,
        time_zone=around.customer.time_zone,
    )
    return check_lines(said)


def invoice_statement(invoice: Invoice) -> Statement:
    """What an invoice says, and all that it rests on."""
    return unpack(invoice.document, Statement)


def invoice_record(
    statement: Statement, *, customer: str, period: str | None, span: tuple[datetime, datetime], now: datetime
) -> Invoice:
    """A new draft of a statement; ``span`` is what it bills where it has no parts."""
    started, ended = _span(statement, span)
    return Invoice(
        id=record_id("inv"),
        customer=customer,
        period=period,
        currency=statement.invoice.currency,
        starts_at=started,
        ends_at=ended,
        at=ended,
        created_at=now,
        **_said(statement),
    )


def with_statement(invoice: Invoice, statement: Statement) -> Invoice:
    """The same invoice, saying another statement."""
    started, ended = _span(statement, (invoice.starts_at, invoice.ends_at))
    return replace(invoice, starts_at=started, ends_at=ended, **_said(statement))


def _span(statement: Statement, span: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    return (
        min((part.start for part in statement.parts), default=span[0]),
        max((part.end for part in statement.parts), default=span[1]),
    )


def _said(statement: Statement) -> dict[str, Any]:
    document = pack(statement)
    amounts = {name: getattr(statement.invoice, name) for name in AMOUNTS}
    return {**amounts, "document": document, "digest": hashlib.sha256(document).digest()}
