"""Credit notes in the words of FOCUS: corrections of what an earlier billing period was invoiced."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tollkeeper.billing.credit_note import CreditNote
from tollkeeper.billing.money import total
from tollkeeper.billing.packing import unpack
from tollkeeper.service.exports.focus_lines import Row, account_columns, line_columns, tax_columns
from tollkeeper.service.invoicing.months import month_of, month_span
from tollkeeper.service.invoicing.statements import invoice_statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from tollkeeper.service.exports.issued import Issued
    from tollkeeper.store.invoices import IssuedCreditNote

__all__ = ["credit_rows"]

PRICING = (
    "PricingQuantity",
    "PricingUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "ListUnitPrice",
)


def credit_rows(issued: Issued, note: IssuedCreditNote) -> Iterator[Row]:
    """A row below zero for each line and each tax that a note gives back, in the billing period of its issue.

    Its ``InvoiceId`` is the number of the note, and ``x_CorrectedInvoiceId`` that of the invoice.
    """
    statement, given = invoice_statement(issued.invoice), unpack(note.document, CreditNote)
    common = account_columns(issued, statement, month_span(month_of(note.at), "UTC"), note.number)
    lines = {line.n - 1: line for line in issued.lines}
    for number, amount in given.lines.items():
        row = common | line_columns(issued, statement, number, lines[number])
        yield _given_back(row, amount, issued)
    for tax in statement.invoice.taxes:
        if given.taxes.get(tax.name):
            row = common | tax_columns(issued.invoice, tax, Fraction(0))
            yield _given_back(row, given.taxes[tax.name], issued)


def _given_back(row: Row, amount: Decimal, issued: Issued) -> Row:
    cost = total((), issued.invoice.currency, less=(amount,))
    return (
        row
        | dict.fromkeys(PRICING)
        | dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"), cost)
        | {"ChargeClass": "Correction", "x_CorrectedInvoiceId": issued.invoice.number}
    )
