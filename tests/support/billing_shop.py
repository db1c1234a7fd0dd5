"""Customers that are billed, at times that a test says."""

from __future__ import annotations

import contextlib
import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Consumer, UsageEvent
from tollkeeper.events.ids import id_from_hash, record_id
from tollkeeper.service.audit import Edit, editing
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.invoicing.run import RunReport, run_invoices
from tollkeeper.service.keys import NewKey
from tollkeeper.service.plans import NewPlan, create_plan
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.routes import NewPrice, NewRoute, create_price, create_route
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.settings import Settings
from tollkeeper.store.invoices import Invoice, InvoiceLine
from tollkeeper.store.selling import BillingProfile, CustomerCoupon, CustomerWallet, InvoiceItem

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BillingShop", "at"]

SECOND = timedelta(seconds=1)


def at(text: str) -> datetime:
    """A time in UTC, e.g. 2026-10-01 or 2026-10-01T12:00."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class BillingShop:
    """An API whose route ``GET /maps`` costs 0.01 EUR a call, under the plan ``payg`` or those that a test adds."""

    def __init__(self, store: str | Service, **settings: Any) -> None:
        self.service = (
            open_service(Settings(store=store, seller_name="Maps Inc", **settings)) if isinstance(store, str) else store
        )
        self.now = at("2026-09-01")
        self.keys: dict[str, str] = {}
        self.customers: dict[str, str] = {}
        self.subscriptions: dict[str, str] = {}
        with self.edit() as edit:
            self.api = create_api(edit, NewApi(name="maps")).id
            create_version(edit, self.api, NewApi(name="v1"))
            self.route = create_route(
                edit,
                NewRoute(
                    api="maps", version="v1", endpoint="/maps", method="GET", price=Decimal("0.01"), currency="EUR"
                ),
            ).id
        self.plan("payg")

    def close(self) -> None:
        """Let go of the store."""
        self.service.close()

    @contextlib.contextmanager
    def edit(self) -> Iterator[Edit]:
        """A transaction at the time of the shop."""
        with editing(self.service.catalog, "test") as edit:
            edit.now = self.now
            yield edit

    def plan(self, name: str, **values: Any) -> None:
        """Add a plan."""
        with self.edit() as edit:
            create_plan(edit, msgspec.convert({"name": name} | values, NewPlan, strict=False))

    def customer(self, name: str, plan: str | None = "payg", **values: Any) -> str:
        """A customer with a key and, unless ``plan`` is None, a subscription from now on; the id."""
        with self.edit() as edit:
            new = {"name": name, "external_id": name} | values
            made = create_customer(edit, msgspec.convert(new, NewCustomer))
            key, _ = self.service.keys.create(edit, NewKey(customer=made.id))
            if plan is not None:
                self.subscriptions[name] = subscribe(edit, NewSubscription(customer=made.id, plan=plan)).id
        self.keys[name], self.customers[name] = key.fingerprint, made.id
        return made.id

    def subscribe(self, name: str, plan: str, **values: Any) -> str:
        """One more subscription; the id."""
        with self.edit() as edit:
            new = {"customer": self.customers[name], "plan": plan} | values
            return subscribe(edit, msgspec.convert(new, NewSubscription)).id

    def key(self, name: str, key: str) -> str:
        """Register one more key; its fingerprint."""
        with self.edit() as edit:
            made, _ = self.service.keys.create(edit, NewKey(customer=self.customers[name], key=key))
        return made.fingerprint

    def item(self, name: str, text: str, amount: str, time: datetime, **values: Any) -> InvoiceItem:
        """A one-off line."""
        item = InvoiceItem(
            id=record_id("itm"),
            customer=self.customers[name],
            name=text,
            amount=Decimal(amount),
            at=time,
            created_at=self.now,
            **{"currency": "EUR"} | values,
        )
        self._add(item)
        return item

    def coupon(self, name: str, **values: Any) -> str:
        """A coupon; the id."""
        found: dict[str, Any] = {
            key: Decimal(value) if isinstance(value, str) else value for key, value in values.items()
        }
        if "amount" in found:
            found |= {"left": found["amount"], "currency": "EUR"}
        coupon = CustomerCoupon(
            id=record_id("cou"), customer=self.customers[name], name="Welcome", created_at=self.now, **found
        )
        self._add(coupon)
        return coupon.id

    def wallet(self, name: str, amount: str, **values: Any) -> str:
        """Prepaid credit; the id."""
        wallet = CustomerWallet(
            id=record_id("wal"),
            customer=self.customers[name],
            name="Top-up",
            currency="EUR",
            amount=Decimal(amount),
            balance=Decimal(amount),
            created_at=self.now,
            **values,
        )
        self._add(wallet)
        return wallet.id

    def profile(self, name: str, **values: Any) -> None:
        """What the invoices of a customer need to know."""
        self._add(BillingProfile(id=record_id("bil"), customer=self.customers[name], created_at=self.now, **values))

    def _add(self, record: msgspec.Struct) -> None:
        with self.edit() as edit:
            edit.add(record)

    def price(self, amount: str, valid_from: datetime) -> None:
        """Set what a call costs from a time on."""
        with self.edit() as edit:
            create_price(edit, self.route, NewPrice(price=Decimal(amount), currency="EUR", valid_from=valid_from))

    def call(self, name: str, start: datetime, count: int = 1, *, key: str | None = None, **values: Any) -> None:
        """Store calls of a customer, a second apart."""
        consumer = Consumer(key=key or self.keys[name])
        chosen: dict[str, Any] = {
            "method": "GET",
            "path": "/maps",
            "route": "/maps",
            "api": "maps",
            "api_version": "v1",
            "status_code": 200,
        } | values
        events = []
        for place in range(count):
            time = start + place * SECOND
            digest = hashlib.sha256(f"{consumer.key}{time}{sorted(chosen.items())}".encode()).digest()
            events.append(UsageEvent(id=id_from_hash(0, digest), source="maps", time=time, consumer=consumer, **chosen))
        self.service.events.append([("maps", DecodedBatch(count, events, []))])

    def run(self, month: str, now: datetime | None = None, **options: Any) -> RunReport:
        """Run the invoices of a month, by default a week behind its end."""
        return run_invoices(self.service, month, now=now or self.now, **options)

    def invoices(self, name: str | None = None, **where: Any) -> list[Invoice]:
        """The invoices of a customer, or of all, oldest first."""
        if name is not None:
            where["customer"] = self.customers[name]
        return self.find(Invoice, **where)

    def lines(self, invoice: Invoice) -> list[tuple[str, str, int]]:
        """Kind, name and net of the lines of an invoice."""
        return [(one.kind, one.name, one.net) for one in self.find(InvoiceLine, invoice=invoice.id)]

    def find(self, kind: type[Any], **where: Any) -> list[Any]:
        """Records of a kind."""
        with self.service.catalog.reading() as records:
            return records.find(kind, **where)
