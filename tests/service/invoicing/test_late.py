"""What comes after an invoice is final is on the next one, by difference, and nothing is billed twice."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from service.invoicing.test_run import recomputed
from support.billing_shop import BillingShop, at
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.service.invoicing import late
from tollkeeper.service.invoicing.crediting import NewCreditNote, issue_credit_note
from tollkeeper.service.invoicing.line_events import list_line_events
from tollkeeper.service.invoicing.paying import pay_invoice, void_invoice
from tollkeeper.service.invoicing.planning import plan_work
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.service.products import NewApi, create_version
from tollkeeper.service.routes import NewRoute, create_route
from tollkeeper.store.invoices import InvoiceLine
from tollkeeper.store.selling import SubscriptionPrice

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit
    from tollkeeper.store.invoices import Invoice

OCTOBER, NOVEMBER, DECEMBER = at("2026-10-05"), at("2026-11-05"), at("2026-12-05")
KEY = "acme-second-key-0123456789"


def bill_september(shop: BillingShop) -> Invoice:
    """A customer with 100 calls in September, billed on 5 October."""
    shop.customer("acme", currency="EUR")
    shop.call("acme", at("2026-09-10"), 100)
    shop.run("2026-09", OCTOBER)
    (invoice,) = shop.invoices()
    return invoice


def nets(shop: BillingShop, period: str) -> list[tuple[str, int]]:
    """The lines of the newest invoice of a month, their beginning and their net."""
    invoice = shop.invoices(period=period)[-1]
    assert recomputed(shop, invoice)
    return [(f"{line.at:%m}", line.net) for line in shop.find(InvoiceLine, invoice=invoice.id)]


def test_late_events_are_on_this_invoice_or_on_the_next(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.call("acme", at("2026-09-10"), 100)
    shop.run("2026-09", at("2026-10-03T23:00"))
    shop.call("acme", at("2026-09-11"), 10)  # before the days of grace are over
    shop.run("2026-09", at("2026-10-04"))
    assert shop.invoices()[0].total == Decimal("1.10")

    shop.call("acme", at("2026-09-12"), 7)  # behind them
    shop.call("acme", at("2026-10-12"), 2)
    shop.run("2026-10", NOVEMBER)
    assert nets(shop, "2026-10") == [("10", 2), ("09", 7)]
    second = shop.invoices()[-1]
    assert invoice_statement(second).parts[1].earlier == (shop.invoices()[0].id,)

    # Once more for the same month, and then nothing.
    shop.call("acme", at("2026-09-13"), 5)
    shop.run("2026-11", DECEMBER)
    assert nets(shop, "2026-11") == [("09", 5)]
    assert invoice_statement(shop.invoices()[-1]).parts[0].earlier == tuple(one.id for one in shop.invoices()[:2])
    assert shop.run("2026-12", at("2027-01-05")).without_lines == 1


def test_what_late_events_use_up_was_not_left_for_the_months_behind(shop: BillingShop) -> None:
    shop.plan("off", kind="discount_amount", amount="5", currency="EUR")
    shop.customer("acme", "off")
    shop.call("acme", at("2026-09-10"), 300)
    shop.run("2026-09", OCTOBER)
    shop.call("acme", at("2026-10-10"), 1000)
    shop.run("2026-10", NOVEMBER)
    assert [one.total for one in shop.invoices("acme")] == [Decimal(0), Decimal("3.00")]  # 2.00 were left of 5.00
    shop.call("acme", at("2026-09-11"), 150)
    shop.call("acme", at("2026-11-10"), 1000)
    shop.run("2026-11", DECEMBER)
    assert nets(shop, "2026-11") == [("11", 1000), ("11", -500), ("09", 150), ("09", -150), ("10", 150)]
    assert sum(one.total for one in shop.invoices("acme")) == Decimal("24.50") - 3 * 5


def test_late_lines_name_the_late_events(shop: BillingShop) -> None:
    bill_september(shop)
    shop.call("acme", at("2026-09-12"), 7)
    shop.run("2026-10", NOVEMBER)
    first, second = shop.invoices()
    listed = list_line_events(shop.service, second.id, 1)
    assert [stored.event.time.day for stored in listed.items] == [12] * 7
    assert [stored.event.time.day for stored in list_line_events(shop.service, first.id, 1, limit=1000).items] == (
        [10] * 100
    )


def test_a_month_without_an_invoice_is_billed_late_too(shop: BillingShop) -> None:
    shop.customer("idle")
    bill_september(shop)
    shop.call("idle", at("2026-09-10"), 3)
    shop.run("2026-10", NOVEMBER)
    assert [(one.customer, one.total) for one in shop.invoices(period="2026-10")] == [
        (shop.customers["idle"], Decimal("0.03"))
    ]
    assert nets(shop, "2026-10") == [("09", 3)]
    # Run after that, the month itself has nothing of it any more.
    assert shop.run("2026-09", NOVEMBER).without_lines == 1
    assert shop.run("2026-11", DECEMBER).without_lines == 2


def test_a_key_that_is_registered_later(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.call("acme", at("2026-09-09"), 10, key=fingerprint(KEY))
    shop.call("acme", at("2026-09-10"), 100)
    shop.run("2026-09", OCTOBER)
    shop.now = at("2026-10-20")
    shop.key("acme", KEY)
    shop.key("acme", f"{KEY}-unused")
    shop.run("2026-10", NOVEMBER)
    assert nets(shop, "2026-10") == [("09", 10)]
    assert len(list_line_events(shop.service, shop.invoices()[-1].id, 1).items) == 10


def test_many_keys_that_are_registered_later(shop: BillingShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "FEW", 2)
    shop.customer("acme")
    shop.call("acme", at("2026-09-09"), 10, key=fingerprint(KEY))
    shop.call("acme", at("2026-09-10"), 100)
    shop.run("2026-09", OCTOBER)
    shop.now = at("2026-10-20")
    for key in (f"{KEY}-unused", KEY, f"{KEY}-new"):
        shop.key("acme", key)
    shop.run("2026-10", NOVEMBER)
    assert nets(shop, "2026-10") == [("09", 10)]


def test_a_route_that_is_registered_later_takes_its_calls(shop: BillingShop) -> None:
    shop.customer("acme")
    default: dict[str, Any] = {"api": "maps", "version": "v1", "price": Decimal("0.02"), "currency": "EUR"}
    with shop.edit() as edit:
        create_route(edit, NewRoute(**default))
    shop.call("acme", at("2026-09-10"), 50, route="/tiles")
    shop.run("2026-09", OCTOBER)
    shop.now = at("2026-10-20")
    with shop.edit() as edit:
        create_route(edit, NewRoute(**default | {"endpoint": "/tiles", "price": Decimal("0.05")}))
        create_route(edit, NewRoute(**default | {"endpoint": "/never"}))
    shop.run("2026-10", NOVEMBER)
    assert sorted(nets(shop, "2026-10")) == [("09", -100), ("09", 250)]
    invoice = shop.invoices()[-1]
    counts = [len(list_line_events(shop.service, invoice.id, n, limit=99).items) for n in (1, 2)]
    assert counts == [50, 50]


def test_a_price_that_is_set_later_for_earlier(shop: BillingShop) -> None:
    bill_september(shop)
    shop.now = at("2026-10-20")
    shop.price("0.03", at("2026-09-10T00:00:50"))
    shop.run("2026-10", NOVEMBER)
    assert nets(shop, "2026-10") == [("09", 100)]
    # No event is late, all cost something else.
    assert len(list_line_events(shop.service, shop.invoices()[-1].id, 1, limit=1000).items) == 100


def test_a_price_of_ones_own_that_is_set_later(shop: BillingShop) -> None:
    bill_september(shop)
    shop.now = at("2026-10-20")
    with shop.edit() as edit:
        edit.add(
            SubscriptionPrice(
                id="spr_1",
                subscription=shop.subscriptions["acme"],
                price=shop.route,
                body={"model": "per_unit", "unit_price": "0.005"},
                valid_from=at("2026-09-01"),
                created_at=shop.now,
            )
        )
    shop.run("2026-10", NOVEMBER)
    assert nets(shop, "2026-10") == [("09", -50)]
    (credit,) = shop.invoices(period="2026-10")
    assert (credit.state, credit.total, credit.due, credit.credit) == (
        "paid",
        Decimal("-0.50"),
        Decimal("0.00"),
        Decimal("0.50"),
    )
    shop.call("acme", at("2026-11-10"), 200)
    shop.run("2026-11", DECEMBER)
    third = shop.invoices()[-1]
    assert (third.total, third.due) == (Decimal("1.00"), Decimal("0.50"))


def test_a_subscription_that_is_made_later_for_earlier(shop: BillingShop) -> None:
    bill_september(shop)
    shop.customer("late", None)
    shop.call("late", at("2026-09-20"), 4)
    shop.now = at("2026-10-20")
    shop.subscribe("late", "payg", started_at=at("2026-09-01").isoformat())
    shop.run("2026-10", NOVEMBER)
    assert nets(shop, "2026-10") == [("09", 4)]


def test_void_opens_a_month_again(shop: BillingShop) -> None:
    first = bill_september(shop)
    shop.call("acme", at("2026-09-20"), 5)
    shop.run("2026-10", NOVEMBER)  # has the five
    with shop.edit() as edit:
        void_invoice(edit, first.id)
    assert shop.run("2026-09", NOVEMBER).totals == {"EUR": Decimal("1.00")}
    again = shop.invoices(period="2026-09")[-1]
    assert (again.attempt, again.number, again.total) == (2, "INV-000003", Decimal("1.00"))
    assert recomputed(shop, again)

    # What was late on an invoice that is void is late again.
    with shop.edit() as edit:
        void_invoice(edit, shop.invoices(period="2026-10")[0].id)
    shop.run("2026-10", DECEMBER)
    shop.run("2026-11", DECEMBER)
    live = [one for one in shop.invoices() if one.state != "void"]
    assert sum(one.total for one in live) == Decimal("1.05")
    named = [list_line_events(shop.service, one.id, 1, limit=1000).items for one in live]
    assert sorted(map(len, named)) == [5, 100]
    assert len({stored.seq for items in named for stored in items}) == 105


def test_what_was_late_on_a_void_invoice_is_late_on_the_one_behind_it(memory: BillingShop) -> None:
    memory.customer("other")
    memory.call("other", at("2026-10-10"), 1)
    bill_september(memory)
    memory.call("acme", at("2026-09-20"), 5)
    memory.run("2026-10", NOVEMBER)
    with memory.edit() as edit:
        void_invoice(edit, memory.invoices("acme", period="2026-10")[0].id)
    memory.run("2026-11", DECEMBER)
    assert nets(memory, "2026-11") == [("09", 5)]


def test_months_may_be_run_in_any_order(shop: BillingShop) -> None:
    shop.customer("acme")
    for month in ("08", "09", "10"):
        shop.call("acme", at(f"2026-{month}-10"), 10)
    for month in ("2026-10", "2026-09"):
        shop.run(month, NOVEMBER)
        shop.run(month, NOVEMBER)
    assert sorted((one.period, one.total) for one in shop.invoices()) == [
        ("2026-09", Decimal("0.10")),
        ("2026-10", Decimal("0.10")),
    ]


def test_paid_and_credited_invoices_count_as_billed(memory: BillingShop) -> None:
    first = bill_september(memory)

    def change(edit: Edit) -> Any:
        pay_invoice(edit, first.id)
        return issue_credit_note(edit, memory.service.settings, first.id, NewCreditNote())

    with memory.edit() as edit:
        assert change(edit).total == Decimal("1.00")
    memory.call("acme", at("2026-09-12"), 1)
    memory.run("2026-10", NOVEMBER)
    assert nets(memory, "2026-10") == [("09", 1)]


def test_what_did_not_change_anything_takes_no_walk_through_the_past(memory: BillingShop) -> None:
    bill_september(memory)
    memory.now = at("2026-10-20")
    memory.price("0.03", at("2026-10-01"))
    with memory.edit() as edit:
        version = create_version(edit, memory.api, NewApi(name="v2"))
        create_route(edit, NewRoute(api="maps", version=version.name, endpoint="/other", method="GET"))
        create_route(edit, NewRoute(api="maps", version="v1", endpoint="/maps", method="POST"))
    (work,) = plan_work(memory.service, "2026-10", None, memory.service.events.last_seq()).works
    assert (work.late, work.start) == (None, at("2026-10-01"))


def test_a_new_customer_has_nothing_late(memory: BillingShop) -> None:
    bill_september(memory)
    memory.now = at("2026-10-10")
    memory.customer("new")
    memory.call("new", at("2026-10-20"), 2)
    memory.call("acme", at("2026-09-12"), 1)
    memory.call("acme", at("2026-10-04"), 1)
    assert memory.run("2026-10", NOVEMBER).totals == {"EUR": Decimal("0.02")}


def test_two_late_runs_of_lines_are_told_apart(memory: BillingShop) -> None:
    bill_september(memory)
    memory.now = at("2026-10-20")
    with memory.edit() as edit:
        create_route(edit, NewRoute(api="maps", version="v1"))
    memory.call("acme", at("2026-09-12"), 2, route="/other")
    memory.call("acme", at("2026-09-13"), 2)
    memory.run("2026-10", NOVEMBER)
    assert nets(memory, "2026-10") == [("09", 2)]


def test_what_was_before_invoices_began_is_not_billed(memory: BillingShop) -> None:
    memory.now = at("2026-06-01")
    bill_september(memory)
    memory.call("acme", at("2026-08-12"), 9)
    memory.call("acme", at("2026-09-12"), 1)
    memory.run("2026-10", NOVEMBER)
    assert nets(memory, "2026-10") == [("09", 1)]


@pytest.mark.parametrize("months", [14, 20])
def test_what_is_later_than_thirteen_months_stays_as_it_was(memory: BillingShop, months: int) -> None:
    bill_september(memory)
    memory.call("acme", at("2026-09-12"), 1)
    year, month = divmod(2026 * 12 + 8 + months, 12)
    report = memory.run(f"{year}-{month + 1:02d}", at("2029-01-01"))
    assert (report.finalized, report.without_lines) == (0, 1)
