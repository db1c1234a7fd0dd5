"""The lines and taxes of an invoice in the words of FOCUS."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tollkeeper.service.exports.focus_prices import price_columns
from tollkeeper.service.exports.tables import decimal_of
from tollkeeper.service.invoicing.months import month_span
from tollkeeper.service.invoicing.statements import invoice_statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tollkeeper.billing.period import BillingPeriod
    from tollkeeper.billing.statement import ChargedPart, Statement
    from tollkeeper.billing.tax import TaxSum
    from tollkeeper.service.exports.issued import Issued
    from tollkeeper.store.invoices import Invoice, InvoiceLine

__all__ = ["Row", "account_columns", "invoice_rows", "line_columns", "tax_columns"]

Row = dict[str, Any]
USAGE, PURCHASE, CREDIT = ("Usage", "Usage-Based"), ("Purchase", "Recurring"), ("Credit", "Usage-Based")
ONE_OFF, TAX = ("Purchase", "One-Time"), ("Tax", "One-Time")
CATEGORIES = {
    "usage": USAGE,
    "base_fee": PURCHASE,
    "fee": PURCHASE,
    "minimum": PURCHASE,
    "discount": CREDIT,
    "prepaid": CREDIT,
    "maximum": CREDIT,
    "one_off": ONE_OFF,
}
"""The charge category and frequency of each kind of charge."""
EVERY_API, NOBODY = "All APIs", "(no name)"
CORRECTION = "Correction"


def invoice_rows(issued: Issued) -> Iterator[Row]:
    """A row for each line of an invoice, then one for each of its taxes."""
    invoice, statement = issued.invoice, invoice_statement(issued.invoice)
    period = month_span(invoice.period, "UTC") if invoice.period else None
    common = account_columns(issued, statement, period, invoice.number)
    contracted: list[Fraction] = []
    for place, line in enumerate(issued.lines):
        row = common | line_columns(issued, statement, place, line)
        contracted.append(Fraction(row["ContractedCost"]))
        yield row
    for tax in statement.invoice.taxes:
        bearing = (
            cost for cost, line in zip(contracted, statement.invoice.lines, strict=True) if tax.name in line.taxes
        )
        share = Fraction(0) if tax.reverse_charge else Fraction(tax.percent) / 100
        yield common | tax_columns(invoice, tax, sum(bearing, Fraction(0)) * share)


def account_columns(issued: Issued, statement: Statement, period: BillingPeriod | None, number: str | None) -> Row:
    """What all rows of an invoice share; ``period`` is the month that bills, None for what the invoice bills."""
    invoice, seller = issued.invoice, statement.seller.name or NOBODY
    return {
        "BillingAccountId": invoice.customer,
        "BillingAccountName": statement.buyer.name,
        "BillingCurrency": invoice.currency,
        "BillingPeriodStart": period.start if period else _second(invoice.starts_at),
        "BillingPeriodEnd": period.end if period else _second(invoice.ends_at),
        "InvoiceId": number,
        "InvoiceIssuerName": seller,
        "ProviderName": seller,
        "PublisherName": seller,
        "ServiceCategory": "Integration",
        "ServiceSubcategory": "API Management",
    }


def line_columns(issued: Issued, statement: Statement, place: int, line: InvoiceLine) -> Row:
    """What one line charges; late usage corrects what an earlier invoice billed of the same time."""
    stated, shown = statement.charges[place], statement.invoice.lines[place]
    part = None if stated.part is None else statement.parts[stated.part]
    category, frequency = CATEGORIES[line.kind]
    row = {
        "BilledCost": shown.net,
        "EffectiveCost": shown.net,
        "ChargeCategory": category,
        "ChargeFrequency": frequency,
        "ChargeClass": CORRECTION if part and part.earlier else None,
        "ChargeDescription": _description(line, part),
        "ChargePeriodStart": _second(part.start if part else issued.invoice.starts_at),
        "ChargePeriodEnd": _second(part.end if part else issued.invoice.ends_at),
        "ServiceName": issued.names.apis.get(line.api or "", EVERY_API),
        "SubAccountId": line.subscription,
        "SubAccountName": part.plan.name if part else None,
        "x_ChargeKind": line.kind,
        "x_InvoiceLine": line.n,
    }
    return row | price_columns(row, stated.charge, part, statement, is_call=line.route is not None)


def tax_columns(invoice: Invoice, tax: TaxSum, contracted: Fraction) -> Row:
    """A tax of an invoice, on which ``contracted`` would be due without coupons."""
    cost = decimal_of(contracted)
    return {
        "BilledCost": tax.amount,
        "EffectiveCost": tax.amount,
        "ContractedCost": cost,
        "ListCost": cost,
        "ChargeCategory": TAX[0],
        "ChargeFrequency": TAX[1],
        "ChargeDescription": f"{tax.name} {tax.percent.normalize():f} %",
        "ChargePeriodStart": _second(invoice.starts_at),
        "ChargePeriodEnd": _second(invoice.ends_at),
        "ServiceName": EVERY_API,
        "x_ChargeKind": "tax",
    }


def _description(line: InvoiceLine, part: ChargedPart | None) -> str:
    if line.name != line.kind or part is None:
        return line.name
    return f"{part.plan.name}: {line.kind.replace('_', ' ')}"


def _second(moment: datetime) -> datetime:
    """A time as FOCUS writes it, to the second."""
    return moment.replace(microsecond=0)
