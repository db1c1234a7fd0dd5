"""Coupons, wallets, one-off items and billing profiles of a customer."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from tollkeeper.errors import ConflictError, NotFoundError, UnprocessableError
from tollkeeper.service.selling.coupons import NewCoupon, end_coupon, grant_coupon, show_coupon
from tollkeeper.service.selling.items import NewItem, add_item, remove_item, show_item
from tollkeeper.service.selling.profiles import ProfilePatch, ProfileView, show_profile, update_profile
from tollkeeper.service.selling.wallets import NewWallet, add_wallet, end_wallet, show_wallet
from tollkeeper.store.selling import CustomerCoupon, CustomerWallet, InvoiceItem

if TYPE_CHECKING:
    from service.selling.conftest import Shop

DAY = timedelta(days=1)
VAT = {"name": "VAT", "percent": "19"}


def coupon(shop: Shop, customer: str, **values: Any) -> CustomerCoupon:
    with shop.edit() as edit:
        return grant_coupon(edit, customer, msgspec.convert({"name": "Welcome", **values}, NewCoupon))


def wallet(shop: Shop, customer: str, **values: Any) -> CustomerWallet:
    new = msgspec.convert({"name": "Credit", "amount": "50", "currency": "EUR", **values}, NewWallet)
    with shop.edit() as edit:
        return add_wallet(edit, customer, new)


def item(shop: Shop, customer: str, **values: Any) -> InvoiceItem:
    new = msgspec.convert({"name": "Setup", "amount": "99.90", "currency": "EUR", **values}, NewItem)
    with shop.edit() as edit:
        return add_item(edit, customer, new)


def profile(shop: Shop, customer: str, **values: Any) -> ProfileView:
    with shop.edit() as edit:
        update_profile(edit, customer, msgspec.convert(values, ProfilePatch))
        return show_profile(edit.records, customer)


def test_a_coupon_is_granted_and_ended(shop: Shop) -> None:
    customer, other = shop.customer().id, shop.customer().id
    money = coupon(shop, customer, amount="20", currency="EUR", expires_at=shop.now + DAY)
    percent = coupon(shop, customer, percent="50", invoices=3)
    assert (money.left, percent.left, percent.invoices_left) == (Decimal(20), None, 3)
    states = [show_coupon(one, shop.now + late).state for one in (money, percent) for late in (0 * DAY, DAY)]
    assert states == ["active", "expired", "active", "active"]
    assert show_coupon(replace(money, left=Decimal("0.00")), shop.now).state == "used_up"
    assert show_coupon(replace(percent, invoices_left=0), shop.now).state == "used_up"

    with shop.edit() as edit:
        ended = end_coupon(edit, customer, percent.id)
        assert end_coupon(edit, customer, percent.id) == ended
    assert show_coupon(ended, shop.now).state == "expired"
    with pytest.raises(NotFoundError, match="has no coupon"), shop.edit() as edit:
        end_coupon(edit, other, percent.id)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "needs percent or amount"),
        ({"percent": "0"}, "takes nothing off"),
        ({"percent": "101"}, "up to 100"),
        ({"amount": "5"}, "give its currency"),
        ({"amount": "0.001", "currency": "EUR"}, "2 decimals"),
        ({"amount": "5", "currency": "XXX"}, "ISO 4217"),
        ({"percent": "5", "expires_at": "2026-10-15T12:00:00Z"}, "expires_at"),
    ],
)
def test_coupons_that_cannot_be_are_refused(shop: Shop, values: dict[str, Any], said: str) -> None:
    with pytest.raises(UnprocessableError, match=said):
        coupon(shop, shop.customer().id, **values)


def test_a_wallet_is_given_and_ended_with_what_is_in_it(shop: Shop) -> None:
    customer = shop.customer().id
    paid, gift = wallet(shop, customer), wallet(shop, customer, amount="5", granted=True, priority=-1)
    assert (paid.balance, paid.granted, gift.priority) == (Decimal(50), False, -1)
    with shop.edit() as edit:
        ended = end_wallet(edit, customer, gift.id)
        assert end_wallet(edit, customer, gift.id) == ended
    shown = show_wallet(ended, shop.now)
    assert (shown.state, shown.balance, shown.expires_at) == ("expired", Decimal(5), shop.now)
    assert show_wallet(paid, shop.now).state == "active"
    assert show_wallet(replace(paid, balance=Decimal("0.00")), shop.now).state == "empty"
    for values, said in (
        ({"amount": "0"}, "amount is 0"),
        ({"amount": "-1"}, "amount is -1"),
        ({"currency": "XAU"}, "ISO 4217"),
        ({"expires_at": shop.now - DAY}, "expires_at"),
    ):
        with pytest.raises(UnprocessableError, match=said):
            wallet(shop, customer, **values)
    with pytest.raises(NotFoundError):
        wallet(shop, "cus_none")


def test_an_item_waits_and_can_be_taken_back_until_it_is_invoiced(shop: Shop) -> None:
    customer = shop.customer().id
    made, off = item(shop, customer), item(shop, customer, amount="-10", at=shop.now + DAY)
    assert (made.at, off.at, off.amount) == (shop.now, shop.now + DAY, Decimal(-10))
    with shop.edit() as edit:
        remove_item(edit, customer, off.id)
        with pytest.raises(NotFoundError):
            remove_item(edit, customer, off.id)
    with shop.service.catalog.reading() as records:
        assert records.find(InvoiceItem, customer=customer) == [made]
    for values, said in (
        ({"amount": "0"}, "amount is 0"),
        ({"amount": "1e30"}, "18 digits"),
        ({"amount": "-0.001"}, "2 decimals"),
        ({"currency": "XXX"}, "ISO 4217"),
        ({"at": "9999-06-01T00:00:00Z"}, "at is not"),
        ({"taxes": ["VAT"]}, "no tax 'VAT'"),
    ):
        with pytest.raises(UnprocessableError, match=said):
            item(shop, customer, **values)


def test_an_invoiced_item_stays(shop: Shop) -> None:
    customer = shop.customer().id
    made = item(shop, customer)
    with shop.edit() as edit:
        edit.records.replace(replace(made, invoice="inv_1"))
        with pytest.raises(ConflictError, match="is on the invoice inv_1"):
            remove_item(edit, customer, made.id)
        edit.records.replace(made)


def test_a_profile_has_defaults_and_is_changed(shop: Shop) -> None:
    customer = shop.customer().id
    with shop.service.catalog.reading() as records:
        assert show_profile(records, customer) == ProfileView(
            customer=customer, legal_name=None, tax_id=None, language="en", taxes=[], tax_inclusive=False, net_days=None
        )
    shown = profile(shop, customer, legal_name="Acme GmbH", tax_id="DE1", language="de-AT", taxes=[VAT], net_days=30)
    assert (shown.legal_name, shown.language, shown.net_days, shown.taxes[0].percent) == (
        "Acme GmbH", "de-AT", 30, Decimal(19),
    )  # fmt: skip
    shown = profile(shop, customer, tax_inclusive=True, legal_name=None, net_days=0)
    assert (shown.legal_name, shown.tax_id, shown.tax_inclusive, shown.net_days) == (None, "DE1", True, 0)
    reverse = profile(shop, customer, taxes=[{"name": "VAT", "percent": "19", "reverse_charge": True}])
    assert reverse.taxes[0].reverse_charge


def test_a_tax_that_an_item_bears_has_to_stay(shop: Shop) -> None:
    customer = shop.customer().id
    profile(shop, customer, taxes=[VAT])
    made = item(shop, customer, taxes=["VAT"])
    assert show_item(made).taxes == ["VAT"]
    assert show_item(item(shop, customer)).taxes is None
    with pytest.raises(ConflictError, match="keep the tax"):
        profile(shop, customer, taxes=[])
    profile(shop, customer, taxes=[VAT | {"percent": "20"}])
    with shop.edit() as edit:
        remove_item(edit, customer, made.id)
    assert profile(shop, customer, taxes=[]).taxes == []


@pytest.mark.parametrize(
    ("taxes", "said"),
    [([VAT, VAT], "Two taxes"), ([VAT | {"name": ""}], "0 characters"), ([VAT | {"percent": "-1"}], "rate is -1")],
)
def test_taxes_that_cannot_be_are_refused(shop: Shop, taxes: list[dict[str, str]], said: str) -> None:
    with pytest.raises(UnprocessableError, match=said):
        profile(shop, shop.customer().id, taxes=taxes)


@pytest.mark.parametrize("language", ["", "d", "de_DE", "de-", "english-language-of-the-north-of-england", "1a"])
def test_a_language_is_a_tag(language: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"language": language}, ProfilePatch)
