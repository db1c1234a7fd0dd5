"""What one subscription pays instead of the list's price."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.errors import ConflictError, NotFoundError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.service.customers import CustomerPatch, update_customer
from tollkeeper.service.selling.own_prices import NewOwnPrice, add_own_price, end_own_price, show_own_price
from tollkeeper.service.selling.priced import find_own_price
from tollkeeper.service.subscription_life import cancel
from tollkeeper.store.invoices import Invoice, InvoiceLine
from tollkeeper.store.selling import SubscriptionPrice

if TYPE_CHECKING:
    from service.selling.conftest import Shop
    from tollkeeper.billing.customer import Customer

PER_UNIT = {"model": "per_unit", "unit_price": "0.005"}
FEE = {"model": "flat_fee", "fee": "3"}
DAY = timedelta(days=1)
NOTHING = Decimal(0)


class Subscribed:
    """A subscription to an API under a plan with a price of usage and a flat fee."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.api, self.route, self.free = shop.api()
        self.customer: Customer = shop.customer()
        tokens = {"name": "tokens", "meter": shop.meter(), "rows": [{"price": PER_UNIT}]}
        self.plan = shop.plan(prices=[tokens, {"name": "seat", "rows": [{"price": FEE}]}])
        self.id = shop.subscription(self.customer, self.plan, self.api)

    def add(self, price: str, body: dict[str, str] | None = None, **values: Any) -> SubscriptionPrice:
        new = msgspec.convert({"price": price, "body": body or PER_UNIT, **values}, NewOwnPrice)
        with self.shop.edit() as edit:
            return add_own_price(edit, self.id, new)

    def end(self, price: str) -> None:
        with self.shop.edit() as edit:
            end_own_price(edit, self.id, price)

    def rows(self) -> list[SubscriptionPrice]:
        with self.shop.service.catalog.reading() as records:
            return records.find(SubscriptionPrice, subscription=self.id)


@pytest.fixture
def subscribed(shop: Shop) -> Subscribed:
    return Subscribed(shop)


def test_a_route_and_the_prices_of_the_plan_may_have_another(subscribed: Subscribed) -> None:
    made = subscribed.add(subscribed.route)
    assert (made.valid_from, made.valid_to) == (subscribed.shop.now, None)
    subscribed.add("tokens", valid_from="2027-01-01T00:00:00Z", valid_to="2028-01-01T00:00:00Z")
    subscribed.add("seat", FEE)
    first, second, third = (show_own_price(price) for price in subscribed.rows())
    assert (first.price, first.body) == (subscribed.route, PerUnit(unit_price=Decimal("0.005")))
    assert (second.price, second.valid_to, third.price) == ("tokens", datetime(2028, 1, 1, tzinfo=UTC), "seat")


def test_rows_that_overlap_are_refused_and_the_next_begins_where_one_ends(subscribed: Subscribed) -> None:
    first = subscribed.add("tokens", valid_from=subscribed.shop.now - 3 * DAY)
    with pytest.raises(ConflictError, match="in force together"):
        subscribed.add("tokens", valid_from=subscribed.shop.now + DAY)
    with pytest.raises(ConflictError, match="in force together"):
        subscribed.add("tokens", valid_from=subscribed.shop.now - 9 * DAY)
    subscribed.end(first.id)
    planned = subscribed.add("tokens", valid_from=subscribed.shop.now + DAY)
    subscribed.end(first.id)  # it is over: nothing happens
    assert [row.valid_to for row in subscribed.rows()] == [subscribed.shop.now, None]
    subscribed.end(planned.id)
    assert [row.id for row in subscribed.rows()] == [first.id]


def test_what_has_no_price_of_its_own(subscribed: Subscribed) -> None:
    shop = subscribed.shop
    _, elsewhere, _ = shop.api()
    for price, body, said in (
        ("nothing", PER_UNIT, "one of its prices: 'seat', 'tokens'"),
        (elsewhere, PER_UNIT, "not to the API"),
        ("seat", PER_UNIT, "a flat fee: give the model flat_fee"),
        ("tokens", FEE, "of usage: give another model than flat_fee"),
        (subscribed.route, FEE, "of usage"),
    ):
        with pytest.raises(UnprocessableError, match=said):
            subscribed.add(price, body)
    with pytest.raises(UnprocessableError, match="1970"):
        subscribed.add("tokens", valid_from="1969-01-01T00:00:00Z")
    with pytest.raises(UnprocessableError, match="never"):
        subscribed.add("tokens", valid_to=shop.now - DAY)
    assert subscribed.add(subscribed.free).price == subscribed.free  # in the currency of the customer
    bare = Subscribed(shop)
    with shop.edit() as edit:
        update_customer(edit, bare.customer.id, CustomerPatch(currency=None))
    bare.id = shop.subscription(bare.customer, shop.plan(currency=None))
    with pytest.raises(UnprocessableError, match="give the customer one"):
        bare.add(subscribed.free)
    assert bare.add(elsewhere).price == elsewhere  # it is to every API
    with pytest.raises(UnprocessableError, match="prices: none"):
        bare.add("tokens")


def test_what_is_not_there_is_not_found(subscribed: Subscribed) -> None:
    made = subscribed.add("tokens")
    with subscribed.shop.service.catalog.reading() as records:
        assert find_own_price(records, subscribed.id, made.id) == made
        with pytest.raises(NotFoundError, match="of its own"):
            find_own_price(records, "sub_none", made.id)
    with pytest.raises(NotFoundError):
        subscribed.end("spr_none")
    with subscribed.shop.edit() as edit:
        cancel(edit, subscribed.id, at_once=True)
    with pytest.raises(ConflictError, match="ended"):
        subscribed.add(subscribed.route)


def test_what_is_invoiced_for_good_keeps_its_prices(subscribed: Subscribed) -> None:
    begin, end = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
    invoice = Invoice(
        id=record_id("inv"), customer=subscribed.customer.id, period="2026-09", currency="EUR", starts_at=begin,
        ends_at=end, subtotal=NOTHING, discount=NOTHING, net=NOTHING, tax=NOTHING, total=NOTHING, due=NOTHING,
        credit=NOTHING, document=b"", digest=b"", at=end - 2 * DAY, created_at=end, number=record_id("INV"),
        state="finalized",
    )  # fmt: skip
    line = InvoiceLine(
        id=record_id("lin"), invoice=invoice.id, n=1, customer=subscribed.customer.id, subscription=subscribed.id,
        kind="usage", name="tokens", currency="EUR", net=0, state="finalized", at=begin,
    )  # fmt: skip
    with subscribed.shop.edit() as edit:
        edit.records.add(invoice)
        edit.records.add(line)
    with pytest.raises(ConflictError, match=f"{invoice.number} .* up to 2026-10-01.* is finalized"):
        subscribed.add("tokens", valid_from=end - DAY)
    assert subscribed.add("tokens", valid_from=end).valid_from == end
    other = Subscribed(subscribed.shop)
    other.customer = subscribed.customer
    other.id = subscribed.shop.subscription(subscribed.customer, other.plan, other.api)
    assert other.add("tokens", valid_from=end - DAY).subscription == other.id  # nothing of it was invoiced
