"""Charges as FOCUS 1.2 has them, the FinOps Open Cost and Usage Specification: one row for each line, tax and credit.

A customer is a billing account, a subscription a sub account, and the seller is provider, publisher and issuer. Columns
that a seller of APIs has nothing for (regions, resources, commitment discounts, other currencies) are left out, as the
specification lets those do who don't support them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.service.exports.focus_credits import credit_rows
from tollkeeper.service.exports.focus_lines import invoice_rows
from tollkeeper.service.exports.issued import issued_between
from tollkeeper.service.exports.tables import Column, Export

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.store.protocols import RecordStore

__all__ = ["FOCUS", "export_focus"]

FOCUS = (
    Column("BilledCost", "money", nullable=False),
    Column("BillingAccountId", nullable=False),
    Column("BillingAccountName"),
    Column("BillingCurrency", nullable=False),
    Column("BillingPeriodEnd", "time", nullable=False),
    Column("BillingPeriodStart", "time", nullable=False),
    Column("ChargeCategory", nullable=False),
    Column("ChargeClass"),
    Column("ChargeDescription"),
    Column("ChargeFrequency", nullable=False),
    Column("ChargePeriodEnd", "time", nullable=False),
    Column("ChargePeriodStart", "time", nullable=False),
    Column("ConsumedQuantity", "number"),
    Column("ConsumedUnit"),
    Column("ContractedCost", "number", nullable=False),
    Column("ContractedUnitPrice", "number"),
    Column("EffectiveCost", "money", nullable=False),
    Column("InvoiceId"),
    Column("InvoiceIssuerName", nullable=False),
    Column("ListCost", "number", nullable=False),
    Column("ListUnitPrice", "number"),
    Column("PricingCategory"),
    Column("PricingQuantity", "number"),
    Column("PricingUnit"),
    Column("ProviderName", nullable=False),
    Column("PublisherName", nullable=False),
    Column("ServiceCategory", nullable=False),
    Column("ServiceName", nullable=False),
    Column("ServiceSubcategory", nullable=False),
    Column("SkuId"),
    Column("SkuMeter"),
    Column("SkuPriceDetails"),
    Column("SkuPriceId"),
    Column("SubAccountId"),
    Column("SubAccountName"),
    Column("x_ChargeKind"),
    Column("x_CorrectedInvoiceId"),
    Column("x_InvoiceLine", "integer"),
)
"""The columns in the order of the specification, and behind them our own, whose names begin with ``x_``."""


def export_focus(store: RecordStore, start: datetime, end: datetime) -> Export:
    """All that was charged by invoices, and given back by credit notes, that were issued in ``[start, end)``.

    ``BilledCost`` of the rows with an ``InvoiceId`` is the total of that invoice, taxes included, to the cent.
    """
    issued = issued_between(store, start, end)
    rows = (row for one in issued for row in (invoice_rows(one) if one.note is None else credit_rows(one, one.note)))
    return Export(FOCUS, (tuple(row.get(column.name) for column in FOCUS) for row in rows))
