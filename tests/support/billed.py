"""A shop whose traffic was billed by the run itself: September and October final, with late calls; November drafts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from support.usage import make_event
from tollkeeper.billing.models.flat_fee import FlatFee
from tollkeeper.billing.models.graduated import Graduated
from tollkeeper.billing.models.tiers import Tier
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.rate_card import CardPrice
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, Request
from tollkeeper.events.ids import record_id
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.invoicing.crediting import CreditedLine, NewCreditNote, issue_credit_note
from tollkeeper.service.invoicing.paying import pay_invoice
from tollkeeper.service.invoicing.run import run_invoices
from tollkeeper.service.keys import NewKey
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.routes import NewRoute, create_route
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.store.invoices import Invoice
from tollkeeper.store.selling import BillingProfile, CustomerCoupon, InvoiceItem

if TYPE_CHECKING:
    from tollkeeper.service.bootstrap import Service

__all__ = ["NOW", "Billed", "at", "open_billed", "store_calls"]

NOW = datetime(2026, 11, 16, tzinfo=UTC)
TIERS = (Tier(up_to=Decimal(100), unit_price=Decimal("0.03")), Tier(unit_price=Decimal("0.007")))
PLANS = {
    "gold": NewPlan(
        name="gold",
        currency="EUR",
        fee=Decimal(50),
        minimum=Decimal(80),
        prices=[
            CardPrice(name="Support", rows=(PriceRow(price=FlatFee(fee=Decimal(5))),)),
            CardPrice(name="Calls", meter="calls", rows=(PriceRow(price=Graduated(tiers=TIERS)),)),
        ],
    ),
    "basic": NewPlan(name="basic", kind="discount_percent", amount=Decimal(10), currency="EUR"),
    "yen": NewPlan(name="yen", currency="JPY", fee=Decimal(3000)),
    "daily": NewPlan(name="daily", currency="EUR", fee=Decimal(2), period="day"),
}
PEOPLE = {"Acme": "gold", "Bolt": "basic", "=Cell()": "gold", "Dōjō": "yen", "Echo": "daily"}
CALLS = {"Acme": (400, 350, 150), "Bolt": (700, 800, 300), "=Cell()": (10, 20, 0), "Dōjō": (0, 0, 0), "Echo": (3, 3, 3)}
"""Calls in September, October and November."""


class Billed(NamedTuple):
    """Ids by name, and the fingerprints of keys."""

    customers: dict[str, str]
    plans: dict[str, str]
    keys: dict[str, str]
    route: str
    api: str


def at(month: int, day: int = 1, hour: int = 0) -> datetime:
    """A time in 2026."""
    return datetime(2026, month, day, hour, tzinfo=UTC)


def store_calls(service: Service, key: str, start: datetime, count: int, **facts: Any) -> None:
    """Store calls, four an hour from a time on, of 10 ms and a ms more each."""
    given = {"route": "/orders/{id}", "api": "orders", "api_version": "v1", "consumer": Consumer(key=key), **facts}
    events = [
        make_event(
            f"{key}/{start}/{number}",
            time=start + number * timedelta(minutes=15),
            request=Request(elapsed_time=(10 + number) / 1000),
            **given,
        )
        for number in range(count)
    ]
    service.events.append([("app", DecodedBatch(count, events, []))])


def open_billed(service: Service, *, bill: bool = True) -> Billed:
    """Sell, let call, and bill."""
    customers: dict[str, str] = {}
    keys, plans = {}, {}
    with editing(service.catalog, "ann") as edit:
        api = create_api(edit, NewApi(name="orders"))
        create_version(edit, "orders", NewApi(name="v1"))
        route = create_route(
            edit,
            NewRoute(
                api="orders",
                version="v1",
                endpoint="/orders/{id}",
                method="GET",
                price=Decimal("0.0125"),
                currency="EUR",
                valid_from=at(1),
            ),
        )
        body = {"name": "calls", "aggregation": "count"}
        edit.add(MeterDefinition(id=record_id("mtr"), name="calls", body=body, created_at=edit.now))
        for name, plan in PLANS.items():
            plans[name] = create_plan(edit, plan).id
        for name, plan_name in PEOPLE.items():
            made = create_customer(edit, NewCustomer(name=name, external_id=f"x{len(customers)}"))
            customers[name] = made.id
            key, _ = service.keys.create(edit, NewKey(customer=made.id))
            keys[name] = key.fingerprint
            start = at(10) if name == "=Cell()" else at(9)
            subscribe(edit, NewSubscription(customer=made.id, plan=plan_name, api="orders", started_at=start))
        edit.add(
            BillingProfile(
                id=record_id("bil"),
                customer=customers["Acme"],
                taxes={"rates": [{"name": "VAT", "percent": "19"}]},
                created_at=edit.now,
            )
        )
        edit.add(
            CustomerCoupon(
                id=record_id("cpn"),
                customer=customers["Acme"],
                name="HELLO",
                percent=Decimal(15),
                invoices_left=1,
                created_at=edit.now,
            )
        )
        for name, amount, currency, due in (("Bolt", "12.34", "EUR", at(10, 5)), ("Dōjō", "500", "JPY", at(11, 5))):
            edit.add(
                InvoiceItem(
                    id=record_id("itm"),
                    customer=customers[name],
                    name="Set-up",
                    amount=Decimal(amount),
                    currency=currency,
                    at=due,
                    created_at=edit.now,
                )
            )
    for name, counts in CALLS.items():
        for month, count in enumerate(counts, 9):
            store_calls(service, keys[name], at(month, 2), count)
    if bill:
        run_invoices(service, "2026-09", now=at(10, 10))
        store_calls(service, keys["Bolt"], at(9, 29), 80, source="late")
        run_invoices(service, "2026-10", now=at(11, 10))
        _settle(service, customers)
        run_invoices(service, "2026-11", now=NOW)
    return Billed(customers, plans, keys, route.id, api.id)


def _settle(service: Service, customers: dict[str, str]) -> None:
    """Have Acme's September paid, and some of its October given back on 12 November."""
    with editing(service.catalog, "ann") as edit:
        edit.now = at(11, 12)
        paid, given = (
            edit.records.find(Invoice, customer=customers["Acme"], period=period)[0]
            for period in ("2026-09", "2026-10")
        )
        pay_invoice(edit, paid.id)
        lines = [CreditedLine(n=1, amount=Decimal("10.01")), CreditedLine(n=3, amount=Decimal("1.20"))]
        issue_credit_note(edit, service.settings, given.id, NewCreditNote(lines=lines, reason="A day without service"))
