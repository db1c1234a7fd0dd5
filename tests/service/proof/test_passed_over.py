"""What would be passed over by who proves customer by customer is named."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from support.billing_shop import BillingShop, at
from tollkeeper.service.proof.period import prove_period
from tollkeeper.store.invoices import Invoice


@pytest.fixture
def shop() -> BillingShop:
    """A shop with two invoices."""
    shop = BillingShop("memory:")
    for name in ("acme", "bolt"):
        shop.customer(name)
        shop.call(name, at("2026-09-10"), 3)
    shop.run("2026-09", at("2026-10-05"))
    return shop


def change(shop: BillingShop, **values: object) -> list[str]:
    """What the proof says when the first invoice says something else."""
    with shop.service.catalog.writing() as records:
        records.replace(replace(records.find(Invoice)[0], **values))
    return prove_period(shop.service, "2026-09").problems


def test_an_invoice_of_nobody(shop: BillingShop) -> None:
    assert prove_period(shop.service, "2026-09").problems == []
    assert change(shop, customer="cus_1") == ["INV-000001: it was not proved, for there is no customer cus_1."]


def test_a_draft_with_a_number(shop: BillingShop) -> None:
    assert change(shop, state="draft") == ["Drafts have the numbers INV-000001: what has a number is final, or void."]


def test_an_invoice_that_became_final_meanwhile_is_no_problem(
    shop: BillingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.service.proof.period.plan_walks", lambda *_: [])
    shop.keys.clear()
    problems = prove_period(shop.service, "2026-09").problems
    assert not [problem for problem in problems if "INV-" in problem]
