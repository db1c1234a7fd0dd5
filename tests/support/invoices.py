"""Invoices to show: statements made by the pure half of billing, in the records that hold them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tollkeeper.billing.charge import Charge, PricedUsage, usage_charge
from tollkeeper.billing.invoice import InvoiceTerms, draft_invoice
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.money import round_money
from tollkeeper.billing.packing import pack
from tollkeeper.billing.party import Party
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.statement import ChargedPart, StatedCharge, Statement
from tollkeeper.metering.quantity import Quantity
from tollkeeper.service.documents.papers import Paper
from tollkeeper.store.invoices import Invoice, IssuedCreditNote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.billing.credit_note import CreditNote

__all__ = ["a_credit_note", "a_paper", "a_part", "a_statement", "an_invoice", "fixed", "used"]

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
SELLER = Party(
    name="Acme Maps GmbH",
    address="Hauptstraße 1\n10115 Berlin\nGermany\nIBAN DE00 1234 5678 9012 3456 78",
    email="billing@acme.example",
    tax_id="DE123456789",
)
BUYER = Party(
    name="Initech B.V.", address="Keizersgracht 1\n1015 CJ Amsterdam", email="ap@initech.example", tax_id="NL1B01"
)


def a_part(**values: Any) -> ChargedPart:
    """October of a subscription."""
    plan = Plan(id="pln_1", name=values.pop("plan", "Business"), created_at=START)
    part = ChargedPart(subscription="sub_1", plan=plan, period_start=START, period_end=END, start=START, end=END)
    return replace(part, **values)


def fixed(amount: str, *, kind: Any = "one_off", name: str = "Setup", currency: str = "EUR", **values: Any) -> Charge:
    """A charge of so much."""
    exact = Fraction(Decimal(amount))
    return Charge(kind=kind, name=name, exact=exact, amount=round_money(exact, currency), **values)


def used(
    name: str, calls: int, *rows: PriceRow, price: str = "0.01", currency: str = "EUR", price_id: str | None = None
) -> Charge:
    """A charge for calls, one part of them at each row's beginning."""
    rows = rows or (PriceRow(price=PerUnit(unit_price=Decimal(price))),)
    times = [max(row.valid_from, START) for row in rows]
    group = tuple(Quantity(at, calls * 1_000_000 // len(rows)) for at in times)
    return usage_charge(PricedUsage(name=name, rows=rows, groups=(group,), price=price_id), currency)


def a_statement(
    *charges: Charge | tuple[int | None, Charge],
    parts: Sequence[ChargedPart] = (),
    currency: str = "EUR",
    seller: Party = SELLER,
    buyer: Party = BUYER,
    language: str = "en",
    **terms: Any,
) -> Statement:
    """A statement of charges, each of the first part unless it says of which."""
    stated = [StatedCharge(*one) if isinstance(one, tuple) else StatedCharge(0, one) for one in charges]
    found = InvoiceTerms(currency=currency, at=END, **terms)
    return Statement(
        parts=tuple(parts) or (a_part(),),
        charges=tuple(stated),
        terms=found,
        invoice=draft_invoice([one.charge for one in stated], found),
        seller=seller,
        buyer=buyer,
        language=language,
    )


def an_invoice(statement: Statement, **values: Any) -> Invoice:
    """The record of a final invoice; ``values`` take the place of its fields."""
    made, document = statement.invoice, pack(statement)
    at = END + timedelta(days=3)
    invoice = Invoice(
        id="inv_1",
        customer="cus_1",
        period="2026-10",
        currency=made.currency,
        state="finalized",
        number="INV-000042",
        starts_at=START,
        ends_at=END,
        subtotal=made.subtotal,
        discount=made.discount,
        net=made.net,
        tax=made.tax,
        total=made.total,
        due=made.due,
        credit=made.credit,
        document=document,
        digest=hashlib.sha256(document).digest(),
        at=at,
        due_at=at + timedelta(days=14),
        finalized_at=at,
        created_at=at,
    )
    return replace(invoice, **values)


def a_paper(statement: Statement, **values: Any) -> Paper:
    """What ``an_invoice`` is shown and sent as."""
    return Paper(invoice=an_invoice(statement, **values), statement=statement)


def a_credit_note(note: CreditNote, at: datetime, **values: Any) -> IssuedCreditNote:
    """The record of a credit note on ``an_invoice``."""
    issued = IssuedCreditNote(
        id="cn_1",
        invoice="inv_1",
        customer="cus_1",
        number="CN-000007",
        currency=note.currency,
        net=note.net,
        tax=note.tax,
        total=note.total,
        document=pack(note),
        at=at,
        created_at=at,
    )
    return replace(issued, **values)
