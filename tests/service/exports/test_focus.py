"""What the specification FOCUS 1.2 asks of the columns and rows, and that they add up to the invoices."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from support.billed import at
from tollkeeper.billing.charge import Charge
from tollkeeper.billing.invoice import InvoiceTerms, draft_invoice
from tollkeeper.billing.packing import pack, unpack
from tollkeeper.billing.statement import StatedCharge, Statement
from tollkeeper.billing.tax import TaxRate
from tollkeeper.service.exports.focus import FOCUS, export_focus
from tollkeeper.service.exports.focus_lines import invoice_rows
from tollkeeper.service.exports.issued import Issued, Names
from tollkeeper.service.exports.parquet import load_pyarrow
from tollkeeper.service.exports.writing import write_export
from tollkeeper.store.invoices import Invoice, InvoiceLine, IssuedCreditNote

if TYPE_CHECKING:
    from tollkeeper.service.bootstrap import Service

WHOLE = (at(9), at(12))
parquet = load_pyarrow().parquet
MANDATORY = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
]
MAY_BE_NULL = {"BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit"}
"""Of the mandatory columns."""
RECOMMENDED = ["ChargeFrequency", "InvoiceId", "ServiceSubcategory"]
METRICS = [
    "BilledCost",
    "ConsumedQuantity",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "ListCost",
    "ListUnitPrice",
    "PricingQuantity",
]
ALLOWED: dict[str, set[str | None]] = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {None, "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {None, "Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {"Integration"},
    "ServiceSubcategory": {"API Management"},
}
PRICED = (
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "SkuId",
    "SkuPriceId",
)


@pytest.fixture(scope="module")
def rows(service: Service) -> list[dict[str, Any]]:
    data = b"".join(write_export(export_focus(service.catalog, *WHOLE), "parquet"))
    found: list[dict[str, Any]] = parquet.read_table(io.BytesIO(data)).to_pylist()
    return found


def test_columns_are_those_of_the_specification_in_its_order(service: Service) -> None:
    names = [column.name for column in FOCUS]
    assert {*MANDATORY, *RECOMMENDED} <= set(names)
    own = [name for name in names if name.startswith("x_")]
    assert names == [*sorted(set(names) - set(own)), *own]
    not_null = {column.name for column in FOCUS if not column.nullable}
    assert set(MANDATORY) - MAY_BE_NULL <= not_null
    schema = parquet.read_schema(io.BytesIO(b"".join(write_export(export_focus(service.catalog, *WHOLE), "parquet"))))
    for field in schema:
        kind = (
            "decimal128" if field.name in METRICS else "timestamp[us, tz=UTC]" if "Period" in field.name else "string"
        )
        assert str(field.type).startswith("int64" if field.name == "x_InvoiceLine" else kind), field
        assert field.nullable == (field.name not in not_null)


def test_values_are_allowed_and_there_where_they_must_be(rows: list[dict[str, Any]]) -> None:
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Purchase", "Tax", "Credit"}
    for row in rows:
        assert all(row[column] in values for column, values in ALLOWED.items())
        assert all(row[column.name] is not None for column in FOCUS if not column.nullable)
        assert "" not in row.values()
        category, corrects = row["ChargeCategory"], row["ChargeClass"] == "Correction"
        if category in {"Usage", "Purchase"} and not corrects:
            assert all(row[name] is not None for name in PRICED)
            for cost in ("Contracted", "List"):
                assert row[f"{cost}UnitPrice"] >= 0
                assert row[f"{cost}UnitPrice"] * row["PricingQuantity"] == row[f"{cost}Cost"]
        else:
            assert row["ContractedUnitPrice"] is row["ListUnitPrice"] is None
        assert (row["ConsumedQuantity"] is not None) == (category == "Usage" and not corrects)
        assert (row["ConsumedUnit"] is None) == (row["ConsumedQuantity"] is None)
        assert (row["PricingUnit"] is None) == (row["PricingQuantity"] is None)
        assert (row["SubAccountId"] is None) == (row["SubAccountName"] is None)
        assert (row["SkuId"] is None) == (row["SkuMeter"] is None) == (row["SkuPriceId"] is None)
        if category == "Tax":
            assert row["PricingCategory"] is row["SkuPriceId"] is row["PricingQuantity"] is None
        if category == "Purchase":
            assert row["ChargeFrequency"] != "Usage-Based"
        assert row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        assert row["BillingPeriodStart"] < row["BillingPeriodEnd"]


def test_billed_cost_is_the_total_of_each_invoice_to_the_cent(service: Service, rows: list[dict[str, Any]]) -> None:
    billed = Counter[str]()
    for row in rows:
        billed[row["InvoiceId"]] += row["BilledCost"]
    with service.catalog.reading() as records:
        invoices = records.find(Invoice, state=["finalized", "paid"])
        notes = records.find(IssuedCreditNote)
    assert billed == {one.number: one.total for one in invoices} | {one.number: -one.total for one in notes}
    assert sum(row["EffectiveCost"] for row in rows) == sum(billed.values())


def test_late_usage_and_credit_notes_are_corrections(rows: list[dict[str, Any]]) -> None:
    corrections = [row for row in rows if row["ChargeClass"]]
    late = [row for row in corrections if row["InvoiceId"] == "INV-000006"]
    assert [(row["ChargeCategory"], row["BilledCost"], row["PricingQuantity"]) for row in late] == [
        ("Usage", Decimal(1), 80),
        ("Credit", Decimal("-0.10"), None),
    ]
    assert {(row["ChargePeriodStart"], row["BillingPeriodStart"]) for row in late} == {(at(9), at(10))}
    given = [row for row in corrections if row not in late]
    assert [(row["x_ChargeKind"], row["BilledCost"]) for row in given] == [
        ("base_fee", Decimal("-10.01")),
        ("usage", Decimal("-1.20")),
        ("tax", Decimal("-2.13")),
    ]
    assert {row["InvoiceId"] for row in given} == {"CN-000001"}
    assert {row["x_CorrectedInvoiceId"] for row in given} == {"INV-000005"}
    assert {row["BillingPeriodStart"] for row in given} == {at(11)}


def test_a_row_says_what_was_bought(rows: list[dict[str, Any]]) -> None:
    def row_of(kind: str, name: str, customer: str = "Acme") -> dict[str, Any]:
        return next(
            row
            for row in rows
            if (row["x_ChargeKind"], row["ChargeDescription"], row["BillingAccountName"]) == (kind, name, customer)
        )

    fee = row_of("base_fee", "gold: base fee")
    # 15 % off by a coupon: what is billed is less than what was contracted.
    assert (fee["BilledCost"], fee["ContractedCost"], fee["PricingUnit"]) == (Decimal("42.50"), 50, "Months")
    assert (fee["ProviderName"], fee["InvoiceId"], fee["SubAccountName"]) == ("Orders Ltd", "INV-000001", "gold")
    calls = row_of("usage", "GET /orders/{id}")
    assert (calls["ServiceName"], calls["SkuMeter"], calls["PricingUnit"]) == ("orders", "API Requests", "Requests")
    assert (calls["ListUnitPrice"], calls["ConsumedQuantity"]) == (Decimal("0.0125"), 400)
    tiers = row_of("usage", "Calls")
    assert (tiers["SkuMeter"], tiers["PricingUnit"], tiers["ListUnitPrice"]) == ("calls", "Units", Decimal("0.01275"))
    assert (tiers["ServiceName"], tiers["SkuId"][-6:]) == ("All APIs", "/Calls")
    tax = row_of("tax", "VAT 19 %")
    assert tax["ContractedCost"] == (50 + 5 + 5 + Decimal("5.1") + Decimal("14.9")) * Decimal("0.19")
    one_off = row_of("one_off", "Set-up", "Bolt")
    assert (one_off["ChargeFrequency"], one_off["SkuId"], one_off["PricingUnit"]) == ("One-Time", "one_off", "Units")
    assert one_off["SubAccountId"] is None


def test_csv_writes_times_and_numbers_as_the_specification_says(service: Service) -> None:
    text = b"".join(write_export(export_focus(service.catalog, *WHOLE), "csv")).decode()
    for row in csv.DictReader(io.StringIO(text, newline="")):
        for name, value in row.items():
            if "Period" in name:
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value)
            if name in METRICS:
                assert re.fullmatch(r"(-?\d+(\.\d+)?)?", value)
        assert row["BillingAccountName"] != "=Cell()"


def test_inclusive_prices_cost_what_is_left_without_taxes(service: Service) -> None:
    """An invoice by hand, of a seller without a name, with a credit, and a tax that the customer owes themselves."""
    taxes = TaxRate(name="VAT", percent=Decimal(20)), TaxRate(name="RC", percent=Decimal(5), reverse_charge=True)
    charges = [
        Charge(kind="one_off", name="Work", exact=Fraction(12), amount=Decimal("12.00"), taxes=("VAT",)),
        Charge(kind="one_off", name="Sorry", exact=Fraction(-6), amount=Decimal("-6.00"), taxes=("VAT", "RC")),
    ]
    terms = InvoiceTerms(currency="EUR", at=at(11), taxes=taxes, tax_inclusive=True)
    drawn = draft_invoice(charges, terms)
    with service.catalog.reading() as records:
        (sample,) = records.find(Invoice, number="INV-000001")
        line = records.find(InvoiceLine, invoice=sample.id, n=1)[0]
    said = replace(
        unpack(sample.document, Statement),
        parts=(),
        charges=tuple(StatedCharge(None, charge) for charge in charges),
        terms=terms,
        invoice=drawn,
    )
    said = replace(said, seller=replace(said.seller, name=""))
    invoice = replace(sample, period=None, document=pack(said), starts_at=at(11).replace(microsecond=5), ends_at=at(12))
    lines = [replace(line, n=n, kind="one_off", name=one.name, subscription=None) for n, one in enumerate(charges, 1)]
    found = list(invoice_rows(Issued(invoice=invoice, lines=lines, names=Names({}, {}, {}))))
    work, sorry, vat, reverse = found
    assert (work["ContractedCost"], work["ContractedUnitPrice"]) == (10, 10)
    assert (sorry["PricingQuantity"], sorry["ContractedUnitPrice"], sorry["ContractedCost"]) == (
        -1,
        Decimal("4.8"),
        Decimal("-4.8"),
    )
    assert vat["ContractedCost"] == Decimal("1.04")
    assert (reverse["BilledCost"], reverse["ContractedCost"]) == (0, 0)
    assert (work["ProviderName"], work["BillingPeriodStart"], work["BillingPeriodEnd"]) == ("(no name)", at(11), at(12))
    assert sum(row["BilledCost"] for row in found) == drawn.total
