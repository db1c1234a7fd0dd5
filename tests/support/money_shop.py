"""Invoices in every state, put together by the pure functions of billing, for pages that show them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from support.quotas import LONG
from tollkeeper.billing.charge import Charge, PricedUsage
from tollkeeper.billing.coupon import Coupon
from tollkeeper.billing.credit_note import credit_invoice
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.invoice import InvoiceTerms, draft_invoice
from tollkeeper.billing.models.graduated import Graduated
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.models.tiers import Tier
from tollkeeper.billing.money import to_minor
from tollkeeper.billing.packing import pack
from tollkeeper.billing.party import Party
from tollkeeper.billing.period_charges import charge_period
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.rate_card import rate_card
from tollkeeper.billing.statement import ChargedPart, StatedCharge, Statement
from tollkeeper.billing.tax import TaxRate
from tollkeeper.billing.wallet import Wallet
from tollkeeper.events.ids import record_id
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.metering.quantity import Quantity
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.routes import NewRoute, create_route
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.store.invoices import Invoice, InvoiceEmail, InvoiceLine, IssuedCreditNote
from tollkeeper.store.selling import BillingProfile, CustomerCoupon, CustomerWallet

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.bootstrap import Service

__all__ = ["MoneyShop", "month_before", "open_money_shop"]

MICRO = 1_000_000
DAY = timedelta(days=1)
SELLER = Party(name="Forecast GmbH", address="Am Kai 1\n20457 Hamburg\nGermany\n", tax_id="DE123456789")
MONTHS = 8
PEOPLE = {
    "Acme Ltd": ("EUR", "gold", MONTHS, 0),
    "Globex": ("EUR", "starter", MONTHS, 0),
    "Hooli K.K.": ("JPY", "yen", 4, 0),
    LONG: ("EUR", "gold", 6, 0),
    "Initech": ("EUR", "gold", 7, 2),
}
"""Currency, plan, and how many months ago the first and the last invoice bills."""
CARD: dict[str, Any] = {
    "fee": "49.00",
    "minimum": "60.00",
    "prices": [
        {
            "name": "Tiles",
            "meter": "tiles",
            "maximum": "900.00",
            "rows": [
                {
                    "price": {
                        "model": "graduated",
                        "tiers": [
                            {"up_to": "1000", "unit_price": "0.01"},
                            {"up_to": "100000", "unit_price": "0.004", "flat_fee": "5"},
                            {"unit_price": "0.0015"},
                        ],
                    },
                    "valid_to": "2026-01-01T00:00:00Z",
                },
                {
                    "price": {"model": "included", "included_units": "5000", "unit_price": "0.002"},
                    "valid_from": "2026-01-01T00:00:00Z",
                },
            ],
        },
        {"name": "Support", "rows": [{"price": {"model": "flat_fee", "fee": "15.00"}}]},
    ],
}


class MoneyShop(NamedTuple):
    """The ids of customers and of plans by name, and of invoices by ``(customer, state)``."""

    customers: dict[str, str]
    plans: dict[str, str]
    subscriptions: dict[str, str]
    invoices: dict[tuple[str, str], str]
    route: str
    month: str


def month_before(at: datetime, months: int) -> datetime:
    """The beginning of the month so many before."""
    index = at.year * 12 + at.month - 1 - months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def open_money_shop(service: Service, *, now: datetime | None = None) -> MoneyShop:
    """Sell one API on three plans to four customers, and bill them for four months, the last still as drafts."""
    now = now or datetime.now(UTC)
    with editing(service.catalog, "ann") as edit:
        api = create_api(edit, NewApi(name="forecasts"))
        create_version(edit, "forecasts", NewApi(name="v1"))
        route = create_route(
            edit,
            NewRoute(
                api="forecasts",
                version="v1",
                endpoint="/forecasts/{id}",
                method="GET",
                price=Decimal("0.002"),
                currency="EUR",
            ),
        )
        plans = _plans(edit)
        customers: dict[str, str] = {}
        subscriptions: dict[str, str] = {}
        for name, (currency, plan, *_) in PEOPLE.items():
            customer = create_customer(
                edit,
                NewCustomer(
                    name=name,
                    external_id=f"m{len(customers)}",
                    currency=currency,
                    email="billing@acme.example",
                    address="1 Road\nTown",
                ),
            )
            made = subscribe(
                edit,
                NewSubscription(customer=customer.id, plan=plan, api="forecasts", started_at=month_before(now, MONTHS)),
            )
            customers[name], subscriptions[name] = customer.id, made.id
        _credits(edit, customers["Acme Ltd"], now)
    invoices: dict[tuple[str, str], str] = {}
    with service.catalog.writing() as records:
        number = 0
        for months in range(MONTHS, -1, -1):
            for name, (currency, plan, first, last) in PEOPLE.items():
                if not last <= months <= first:
                    continue
                state = "draft" if not months else "finalized" if months <= 2 else "paid"  # months
                if (name, months) == ("Globex", 3):
                    state = "void"
                (billed,), (sold,) = records.find(Customer, id=customers[name]), records.find(Plan, id=plans[plan])
                statement = _statement(sold, billed, subscriptions[name], currency, month_before(now, months))
                number += state != "draft"
                invoice = _invoice(statement, billed.id, state, number, now)
                records.add(invoice)
                for line in _lines(statement, invoice, api.id, route.id):
                    records.add(line)
                invoices[name, state] = invoice.id
                if name == "Acme Ltd" and months == 2:  # the month
                    _extras(records, invoice, statement, now)
    return MoneyShop(customers, plans, subscriptions, invoices, route.id, f"{month_before(now, 1):%Y-%m}")


def _plans(edit: Edit) -> dict[str, str]:
    made = {
        "gold": Plan(id=record_id("pln"), name="gold", currency="EUR", trial_days=14, body=CARD, created_at=edit.now),
        "starter": Plan(
            id=record_id("pln"),
            name="starter",
            kind="discount_percent",
            amount=Decimal(10),
            currency="EUR",
            created_at=edit.now,
        ),
        "yen": Plan(
            id=record_id("pln"), name="yen", currency="JPY", body={"fee": "9800"}, period="year", created_at=edit.now
        ),
    }
    for plan in made.values():
        edit.add(plan)
    for body in (
        {
            "name": "tiles",
            "aggregation": "sum",
            "field": "units",
            "filters": [{"field": "status_code", "below": "400"}],
            "group_by": ["route"],
        },
        {"name": "callers", "aggregation": "unique", "field": "client.remote_address"},
        {"name": "slow", "aggregation": "percentile", "percentile": "95", "field": "request.elapsed_time"},
    ):
        edit.add(MeterDefinition(id=record_id("mtr"), name=str(body["name"]), body=body, created_at=edit.now))
    return {name: plan.id for name, plan in made.items()}


def _credits(edit: Edit, customer: str, now: datetime) -> None:
    edit.add(
        CustomerCoupon(
            id=record_id("cpn"), customer=customer, name="WELCOME", percent=Decimal(10), invoices_left=2, created_at=now
        )
    )
    edit.add(
        CustomerCoupon(
            id=record_id("cpn"),
            customer=customer,
            name="SORRY",
            amount=Decimal("25.00"),
            currency="EUR",
            left=Decimal("4.50"),
            expires_at=now + 90 * DAY,
            created_at=now,
        )
    )
    edit.add(
        CustomerWallet(
            id=record_id("wal"),
            customer=customer,
            name="Start credit",
            currency="EUR",
            amount=Decimal("100.00"),
            balance=Decimal("62.50"),
            granted=True,
            expires_at=now + 30 * DAY,
            created_at=now,
        )
    )
    edit.add(
        BillingProfile(
            id=record_id("bil"),
            customer=customer,
            legal_name="Acme Limited",
            tax_id="GB999",
            taxes={"rates": [{"name": "VAT", "percent": "19"}]},
            net_days=30,
            created_at=now,
        )
    )


def _statement(plan: Plan, customer: Customer, subscription: str, currency: str, start: datetime) -> Statement:
    end, halfway = month_before(start + 45 * DAY, 0), start + 14 * DAY
    rows = (
        PriceRow(price=PerUnit(unit_price=Decimal("0.002")), valid_to=halfway),
        PriceRow(price=PerUnit(unit_price=Decimal("0.0025")), valid_from=halfway),
    )
    tiers = (
        PriceRow(
            price=Graduated(
                tiers=(Tier(up_to=Decimal(1000), unit_price=Decimal("0.01")), Tier(unit_price=Decimal("0.004")))
            )
        ),
    )
    size = 300 + 50 * (start.month + 12 * start.year - 24_300) + 170 * len(customer.name)
    calls = tuple(Quantity(start + day * DAY, (size + 40 * day) * MICRO) for day in range(28))
    usage = [PricedUsage(name="GET /forecasts/{id}", rows=rows, groups=(calls,), pay_as_you_go=True)]
    if plan.name == "gold":
        usage.append(PricedUsage(name="Tiles", rows=tiers, groups=(calls,)))
    card = rate_card(plan)
    charges = charge_period(plan, card, usage, currency=currency)
    parts = [
        ChargedPart(subscription=subscription, plan=plan, period_start=start, period_end=end, start=start, end=end)
    ]
    stated = [StatedCharge(0, charge) for charge in charges.charges]
    if customer.name == "Acme Ltd":
        item = Charge(kind="one_off", name="Set-up", exact=Fraction(-20), amount=Decimal("-20.00"))
        stated.append(StatedCharge(None, item))
    taxed = currency == "EUR"
    terms = InvoiceTerms(
        currency=currency,
        at=end + DAY,
        coupons=(Coupon(id="cpn_1", name="WELCOME", percent=Decimal(10)),) if customer.name == "Acme Ltd" else (),
        taxes=(TaxRate(name="VAT", percent=Decimal(19)),) if taxed else (),
        wallets=(Wallet(id="wal_1", currency="EUR", balance=Decimal("37.50")),) if customer.name == "Acme Ltd" else (),
    )
    return Statement(
        parts=tuple(parts),
        charges=tuple(stated),
        terms=terms,
        invoice=draft_invoice([one.charge for one in stated], terms),
        seller=SELLER,
        buyer=Party(name=customer.name, address=customer.address, email=customer.email, tax_id="GB999"),
    )


def _invoice(statement: Statement, customer: str, state: Any, number: int, now: datetime) -> Invoice:
    document, drawn = pack(statement), statement.invoice
    at = statement.parts[0].end
    sums = {name: getattr(drawn, name) for name in ("subtotal", "discount", "net", "tax", "total", "due", "credit")}
    final, start = state != "draft", statement.parts[0].start
    return Invoice(
        id=record_id("inv"),
        customer=customer,
        period=f"{start:%Y-%m}",
        currency=drawn.currency,
        state=state,
        number=f"INV-{number + 900:06}" if final else None,
        starts_at=start,
        ends_at=at,
        document=document,
        digest=hashlib.sha256(document).digest(),
        at=at,
        due_at=at + 14 * DAY if final else None,
        finalized_at=at + 3 * DAY if final else None,
        paid_at=at + 9 * DAY if state == "paid" else None,
        voided_at=at + 4 * DAY if state == "void" else None,
        created_at=now,
        **sums,
    )


def _lines(statement: Statement, invoice: Invoice, api: str, route: str) -> list[InvoiceLine]:
    part = statement.parts[0]
    return [
        InvoiceLine(
            id=record_id("lin"),
            invoice=invoice.id,
            n=n,
            customer=invoice.customer,
            subscription=None if stated.part is None else part.subscription,
            plan=None if stated.part is None else part.plan.id,
            api=api if line.name.startswith("GET") else None,
            route=route if line.name.startswith("GET") else None,
            kind=line.kind,
            name=line.name,
            currency=invoice.currency,
            quantity=line.quantity,
            net=to_minor(line.net, invoice.currency),
            state=invoice.state,
            at=invoice.starts_at,
        )
        for n, (line, stated) in enumerate(zip(statement.invoice.lines, statement.charges, strict=True), 1)
    ]


def _extras(records: Any, invoice: Invoice, statement: Statement, now: datetime) -> None:
    note = credit_invoice(statement.invoice, [], {1: Decimal("10.00")})
    records.add(
        IssuedCreditNote(
            id=record_id("crn"),
            invoice=invoice.id,
            customer=invoice.customer,
            number="CN-000001",
            currency=invoice.currency,
            net=note.net,
            tax=note.tax,
            total=note.total,
            reason="Two hours without service",
            document=pack(note),
            at=invoice.at,
            created_at=now,
        )
    )
    records.add(
        InvoiceEmail(
            id=record_id("iem"),
            subject=invoice.id,
            address="billing@acme.example",
            state="delivered",
            attempts=1,
            delivered_at=now,
            at=now,
            created_at=now,
        )
    )
