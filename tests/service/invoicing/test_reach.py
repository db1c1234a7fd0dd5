"""Who had no invoice of a month is billed for what is late all the same: once, and whoever else was billed since."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from support.billing_shop import BillingShop, at
from tollkeeper.service.invoicing.by_hand import finalize_invoice, work_out_draft
from tollkeeper.service.invoicing.paying import void_invoice
from tollkeeper.service.products import ensure_version
from tollkeeper.service.proof.period import prove_period
from tollkeeper.service.routes import NewPrice, NewRoute, create_price, create_route
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from datetime import datetime

OCTOBER, NOVEMBER, DECEMBER, JANUARY = at("2026-10-05"), at("2026-11-05"), at("2026-12-05"), at("2027-01-05")


def finalize(shop: BillingShop, name: str, when: datetime) -> None:
    """Make the newest draft of a customer final by hand."""
    shop.now = when
    draft = shop.invoices(name, state="draft")[-1]
    worked = work_out_draft(shop.service, draft.id)
    with shop.edit() as edit:
        finalize_invoice(edit, shop.service.settings, draft.id, worked)


def void(shop: BillingShop, name: str, when: datetime) -> None:
    """Take the newest invoice of a customer back."""
    shop.now = when
    with shop.edit() as edit:
        void_invoice(edit, shop.invoices(name)[-1].id)


def totals(shop: BillingShop, name: str) -> dict[str | None, Decimal]:
    """What the invoices of a customer come to, by month."""
    return {one.period: one.total for one in shop.invoices(name, state=["finalized", "paid"])}


def two(shop: BillingShop) -> None:
    """Acme with 10 calls in each of three months, and Bolt."""
    shop.customer("acme")
    shop.customer("bolt")
    for month in ("2026-09", "2026-10", "2026-11"):
        shop.call("acme", at(f"{month}-10"), 10)


def test_what_is_made_final_by_hand_says_nothing_of_others(shop: BillingShop) -> None:
    two(shop)
    shop.run("2026-09", OCTOBER, finalize=False)
    shop.call("bolt", at("2026-09-12"), 7)  # Bolt had no draft, and Acme's becomes final behind it
    finalize(shop, "acme", at("2026-10-20"))
    shop.run("2026-10", NOVEMBER, finalize=False)
    assert shop.invoices("bolt")[0].total == Decimal("0.07")
    finalize(shop, "bolt", NOVEMBER)
    finalize(shop, "acme", at("2026-11-06"))
    shop.run("2026-11", DECEMBER)
    shop.run("2026-12", JANUARY)
    assert totals(shop, "bolt") == {"2026-10": Decimal("0.07")}


def test_what_the_run_before_one_by_hand_knew_is_enough(memory: BillingShop) -> None:
    two(memory)
    memory.run("2026-09", OCTOBER)
    memory.run("2026-10", at("2026-11-02"), finalize=False)
    memory.call("bolt", at("2026-10-12"), 7)
    finalize(memory, "acme", at("2026-11-20"))
    memory.run("2026-11", DECEMBER)
    assert totals(memory, "bolt") == {"2026-11": Decimal("0.07")}


def test_a_month_that_is_run_again_for_one_customer_says_nothing_of_others(shop: BillingShop) -> None:
    two(shop)
    shop.call("bolt", at("2026-09-10"))
    shop.run("2026-09", OCTOBER)
    shop.run("2026-10", NOVEMBER)
    shop.call("bolt", at("2026-09-12"), 7)
    shop.call("bolt", at("2026-10-12"), 70)
    void(shop, "acme", at("2026-11-20"))
    shop.run("2026-10", at("2026-11-21"), customers=[shop.customers["acme"]])
    shop.run("2026-11", DECEMBER)
    shop.run("2026-12", JANUARY)
    assert totals(shop, "bolt") == {"2026-09": Decimal("0.01"), "2026-11": Decimal("0.77")}
    assert totals(shop, "acme") == dict.fromkeys(("2026-09", "2026-10", "2026-11"), Decimal("0.10"))


def test_a_void_invoice_of_long_ago_hides_nothing_late(shop: BillingShop) -> None:
    two(shop)
    shop.call("bolt", at("2026-09-10"), 3)
    shop.run("2026-09", OCTOBER)
    void(shop, "bolt", OCTOBER)
    shop.run("2026-09", OCTOBER)
    shop.run("2026-10", NOVEMBER)
    shop.call("bolt", at("2026-10-12"), 7)  # a month in which Bolt had no invoice
    shop.run("2026-11", DECEMBER)
    assert totals(shop, "bolt") == {"2026-09": Decimal("0.03"), "2026-11": Decimal("0.07")}


def test_what_was_late_on_a_void_invoice_is_late_again_beside_what_came_since(memory: BillingShop) -> None:
    two(memory)
    memory.call("bolt", at("2026-09-10"), 3)
    memory.run("2026-09", OCTOBER)
    memory.call("bolt", at("2026-09-11"), 5)
    memory.run("2026-10", NOVEMBER)
    void(memory, "bolt", NOVEMBER)
    memory.run("2026-11", DECEMBER)
    memory.call("bolt", at("2026-11-12"), 7)
    memory.run("2026-12", JANUARY)
    assert totals(memory, "bolt") == {
        "2026-09": Decimal("0.03"),
        "2026-11": Decimal("0.05"),
        "2026-12": Decimal("0.07"),
    }


def test_calls_that_are_priced_later_are_billed_to_who_had_no_invoice_too(shop: BillingShop) -> None:
    shop.plan("fee", fee="5", currency="EUR")
    shop.customer("acme", "fee")
    shop.customer("bolt")
    with shop.edit() as edit:
        tiles = create_route(edit, NewRoute(api="maps", version="v1", endpoint="/tiles", method="GET")).id
    for name in ("acme", "bolt"):
        shop.call(name, at("2026-09-10"), 10, route="/tiles")
        shop.call(name, at("2026-09-11"), 10, route="/later")
    shop.run("2026-09", OCTOBER)
    shop.now = at("2026-10-20")
    with shop.edit() as edit:
        price = Decimal("0.1")
        create_price(edit, tiles, NewPrice(price=price, currency="EUR", valid_from=at("2026-09-01")))
        create_route(edit, NewRoute(api="maps", version="v1", endpoint="/later", price=price, currency="EUR"))
    shop.run("2026-10", NOVEMBER)
    shop.run("2026-11", DECEMBER)
    assert totals(shop, "bolt") == {"2026-10": Decimal("2.00")}
    assert totals(shop, "acme") == {"2026-09": Decimal(5), "2026-10": Decimal(7), "2026-11": Decimal(5)}


def test_another_api_takes_nothing_back_that_was_billed(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.call("acme", at("2026-09-10"), 100, api=None, api_version=None)
    shop.run("2026-09", OCTOBER)
    shop.call("acme", at("2026-10-06"), 20, api=None, api_version=None)
    shop.now = at("2026-10-20")
    with shop.edit() as edit:
        ensure_version(edit, "tiles", "v1")
    shop.call("acme", at("2026-09-11"), 3)
    shop.run("2026-10", NOVEMBER)
    assert totals(shop, "acme") == {"2026-09": Decimal("1.00"), "2026-10": Decimal("0.23")}


def test_a_first_month_in_which_nobody_had_to_pay_is_billed_late_too() -> None:
    shop = BillingShop("memory:", invoice_from="2026-09")
    shop.customer("acme")
    assert shop.run("2026-09", OCTOBER).without_lines == 1
    shop.call("acme", at("2026-10-10"), 2)
    shop.run("2026-10", NOVEMBER)
    shop.call("acme", at("2026-09-10"), 5)
    shop.run("2026-11", DECEMBER)
    assert totals(shop, "acme") == {"2026-10": Decimal("0.02"), "2026-11": Decimal("0.05")}


def test_calls_that_were_taken_off_are_not_billed(memory: BillingShop) -> None:
    with memory.edit() as edit:
        ensure_version(edit, "tiles", "v1")
    memory.customer("acme", None)
    memory.subscribe("acme", "payg", api="maps")
    memory.call("acme", at("2026-09-10"), 9, api=None, api_version=None)
    memory.run("2026-09", OCTOBER)
    assert prove_period(memory.service, "2026-09").billed == 9
    memory.now = at("2026-10-20")
    memory.subscribe("acme", "payg", api="tiles", started_at="2026-09-01T00:00:00Z")  # now they may be of either
    memory.run("2026-10", NOVEMBER)
    assert sum(one.total for one in memory.find(Invoice)) == 0
    proof = prove_period(memory.service, "2026-09")
    assert (proof.stored, proof.billed, proof.unresolved, proof.problems) == (9, 0, 9, [])
