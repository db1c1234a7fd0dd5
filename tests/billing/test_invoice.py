from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import oracle
from tollkeeper.billing.charge import Charge
from tollkeeper.billing.coupon import Coupon, use_coupons
from tollkeeper.billing.credit_note import CreditNote, credit_invoice
from tollkeeper.billing.invoice import DraftInvoice, InvoiceTerms, draft_invoice
from tollkeeper.billing.money import from_minor
from tollkeeper.billing.tax import TaxableLine, TaxRate, tax_lines
from tollkeeper.billing.wallet import Wallet, draw_wallets
from tollkeeper.errors import UnprocessableError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def charge(amount: str, taxes: tuple[str, ...] | None = None) -> Charge:
    return Charge(kind="one_off", name="line", exact=Fraction(amount), amount=Decimal(amount), taxes=taxes)


def rate(name: str, percent: str, *, reverse_charge: bool = False) -> TaxRate:
    return TaxRate(name=name, percent=Decimal(percent), reverse_charge=reverse_charge)


def draft(*charges: Charge, **terms: Any) -> DraftInvoice:
    return draft_invoice(charges, InvoiceTerms(currency="EUR", at=NOW, **terms))


def test_an_invoice_of_nothing_comes_to_nothing() -> None:
    empty = draft(coupons=(Coupon(id="c", name="c", amount=Decimal(5), currency="EUR"),), taxes=(rate("VAT", "19"),))
    assert empty.lines == ()
    assert empty.total == empty.due == empty.credit == 0
    assert empty.coupons[0].left == 5


def test_lines_then_coupons_then_taxes_then_wallets() -> None:
    found = draft(
        charge("100.00"),
        charge("50.00", ("reduced",)),
        coupons=(Coupon(id="ten", name="ten", percent=Decimal(10)),),
        taxes=(rate("VAT", "19"), rate("reduced", "7")),
        wallets=(Wallet(id="w", currency="EUR", balance=Decimal(40)),),
    )
    assert [(str(line.amount), str(line.discount), str(line.net), line.taxes) for line in found.lines] == [
        ("100.00", "10.00", "90.00", ("VAT", "reduced")),
        ("50.00", "5.00", "45.00", ("reduced",)),
    ]
    assert [(one.name, str(one.base), str(one.amount)) for one in found.taxes] == [
        ("VAT", "90.00", "17.10"),
        ("reduced", "135.00", "9.45"),
    ]
    sums = (found.subtotal, found.discount, found.net, found.tax, found.total, found.due, found.credit)
    assert [str(one) for one in sums] == ["150.00", "15.00", "135.00", "26.55", "161.55", "121.55", "0.00"]


def test_a_tax_that_is_not_given_or_given_twice_is_refused() -> None:
    with pytest.raises(UnprocessableError, match="'GST', which isn't given: add it"):
        draft(charge("1.00", ("GST",)), taxes=(rate("VAT", "19"),))
    with pytest.raises(UnprocessableError, match="same name"):
        draft(taxes=(rate("VAT", "19"), rate("VAT", "7")))


def test_inclusive_prices_with_lines_that_bear_no_tax() -> None:
    lines = [TaxableLine(Decimal("11.90"), ("VAT",)), TaxableLine(Decimal("5.00"), ()), TaxableLine(Decimal("0.03"))]
    found = tax_lines(lines, [rate("VAT", "19")], "EUR", inclusive=True)
    assert [str(net) for net in found.nets] == ["10.00", "5.00", "0.03"]
    assert [str(one.amount) for one in found.sums] == ["1.90"]
    untaxed = tax_lines(lines[1:2], [rate("VAT", "19")], "EUR", inclusive=True)
    assert [str(net) for net in untaxed.nets] == ["5.00"]


amounts = st.lists(st.integers(-500, 5000), min_size=1, max_size=8)


@given(amounts, st.lists(st.integers(0, 30), max_size=3), st.booleans(), st.data())
def test_the_nets_of_lines_add_up(minor: list[int], percents: list[int], inclusive: bool, data: st.DataObject) -> None:  # noqa: FBT001 - hypothesis gives it
    rates = [rate(str(number), str(percent)) for number, percent in enumerate(percents)]
    names = st.one_of(st.none(), st.sets(st.sampled_from([one.name for one in rates] or ["0"])).map(tuple))
    lines = [TaxableLine(from_minor(one, "EUR"), data.draw(names)) for one in minor]
    found = tax_lines(lines, rates, "EUR", inclusive=inclusive)
    whole = sum(line.amount for line in lines)
    assert sum(found.nets) == (whole - sum(one.amount for one in found.sums) if inclusive else whole)
    for one in found.sums:
        borne = [line.taxes is None or one.name in line.taxes for line in lines]
        assert one.base == sum(net for net, bears in zip(found.nets, borne, strict=True) if bears)
    for line, net in zip(lines, found.nets, strict=True):
        on_line = [one.percent for one in rates if line.taxes is None or one.name in line.taxes]
        exact = Fraction(line.amount) / (1 + Fraction(sum(on_line, Decimal(0))) / 100 if inclusive else 1)
        assert abs(exact - Fraction(net)) < Fraction(3, 100)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "needs percent or amount"),
        ({"percent": Decimal(1), "amount": Decimal(1)}, "needs percent or amount"),
        ({"percent": Decimal(101)}, "up to 100"),
        ({"percent": Decimal(1), "currency": "EUR"}, "no amount: leave currency out"),
        ({"amount": Decimal(1)}, "an amount: give its currency"),
        ({"amount": Decimal(-1), "currency": "EUR"}, "amount is -1"),
        ({"amount": Decimal("0.1"), "currency": "JPY"}, "up to 0 decimals"),
    ],
)
def test_a_coupon_that_makes_no_sense_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UnprocessableError, match=message):
        Coupon(id="c", name="welcome", **values)


def test_coupons_go_by_the_order_they_were_granted() -> None:
    percent = Coupon(id="p", name="p", percent=Decimal(50))
    amount = Coupon(id="a", name="a", amount=Decimal(10), currency="EUR")
    lines = [Decimal("30.00")]
    assert [str(use.amount) for use in use_coupons([percent, amount], lines, "EUR")] == ["15.00", "10.00"]
    assert [str(use.amount) for use in use_coupons([amount, percent], lines, "EUR")] == ["10.00", "10.00"]


def test_a_coupon_in_another_currency_is_kept() -> None:
    (use,) = use_coupons([Coupon(id="c", name="c", amount=Decimal(5), currency="USD")], [Decimal(9)], "EUR")
    assert (str(use.amount), use.left) == ("0.00", Decimal(5))


def test_lines_below_zero_get_no_discount() -> None:
    (use,) = use_coupons([Coupon(id="c", name="c", percent=Decimal(50))], [Decimal(30), Decimal(-10)], "EUR")
    assert [str(share) for share in use.shares] == ["10.00", "0.00"]
    (use,) = use_coupons([Coupon(id="c", name="c", percent=Decimal(50))], [Decimal(3), Decimal(-10)], "EUR")
    assert use.amount == 0


def wallet(name: str, balance: str = "1", **values: Any) -> Wallet:
    return Wallet(id=name, currency=values.pop("currency", "EUR"), balance=Decimal(balance), **values)


def test_wallets_are_drawn_down_in_order() -> None:
    wallets = [
        wallet("never"),
        wallet("late", expires_at=NOW + 9 * DAY),
        wallet("bought", expires_at=NOW + DAY),
        wallet("granted", expires_at=NOW + DAY, granted=True),
        wallet("first", priority=-1),
        wallet("gone", expires_at=NOW),
        wallet("dollars", currency="USD"),
        wallet("empty", "0", priority=-2),
        wallet("also never"),
    ]
    draws = draw_wallets(wallets, Decimal("5.50"), "EUR", NOW)
    assert [(draw.wallet, str(draw.amount), str(draw.left)) for draw in draws] == [
        ("first", "1.00", "0.00"),
        ("granted", "1.00", "0.00"),
        ("bought", "1.00", "0.00"),
        ("late", "1.00", "0.00"),
        ("also never", "1.00", "0.00"),
        ("never", "0.50", "0.50"),
    ]
    assert draw_wallets(wallets, Decimal(-5), "EUR", NOW) == ()


@pytest.mark.parametrize("balance", ["-1", "0.001", "NaN"])
def test_a_balance_that_cannot_be_paid_is_refused(balance: str) -> None:
    with pytest.raises(UnprocessableError, match="balance is"):
        wallet("w", balance)


def test_a_credit_below_zero_and_lines_below_zero() -> None:
    found = draft(charge("10.00"), charge("-4.00"), taxes=(rate("VAT", "19"),))
    whole = credit_invoice(found, [], {0: Decimal(10), 1: Decimal(-4)})
    assert (str(whole.net), str(whole.tax), whole.total) == ("6.00", "1.14", found.total)
    first = credit_invoice(found, [], {1: Decimal(-4)})
    assert (str(first.net), str(first.tax)) == ("-4.00", "0.00")
    rest = credit_invoice(found, [first], {0: Decimal(10)})
    assert first.total + rest.total == found.total
    with pytest.raises(UnprocessableError, match="give its lines below zero back"):
        credit_invoice(found, [], {0: Decimal(7)})


@pytest.mark.parametrize(
    ("amounts", "message"),
    [
        ({1: Decimal(1)}, "no line 1: give one from 0 to 0"),
        ({-1: Decimal(1)}, "no line -1"),
        ({0: Decimal("7.01")}, "Of line 0 7.00 EUR are left"),
        ({0: Decimal("-0.01")}, "Of line 0"),
        ({0: Decimal("0.001")}, "up to 2 decimals"),
    ],
)
def test_more_than_is_left_is_not_given_back(amounts: dict[int, Decimal], message: str) -> None:
    found = draft(charge("10.00"), taxes=(rate("VAT", "19"),))
    first = credit_invoice(found, [], {0: Decimal(3)})
    with pytest.raises(UnprocessableError, match=message):
        credit_invoice(found, [first], amounts)


def test_under_reverse_charge_no_tax_is_given_back() -> None:
    found = draft(charge("10.00"), taxes=(rate("VAT", "19", reverse_charge=True),))
    first = credit_invoice(found, [], {0: Decimal(3)})
    assert (str(first.net), str(first.tax), first.taxes) == ("3.00", "0.00", {"VAT": Decimal(0)})


@given(st.lists(st.integers(1, 300), min_size=1, max_size=4), st.integers(0, 3000), st.booleans(), st.data())
def test_credit_notes_agree_with_the_oracle_and_never_exceed_the_invoice(
    minor: list[int],
    per_mille: int,
    inclusive: bool,  # noqa: FBT001 - hypothesis gives it
    data: st.DataObject,
) -> None:
    vat = rate("VAT", str(Decimal(per_mille) / 100))
    found = draft(*(charge(str(from_minor(one, "EUR"))) for one in minor), taxes=(vat,), tax_inclusive=inclusive)
    nets = [int(line.net * 100) for line in found.lines]
    left, given, notes = list(nets), [], list[CreditNote]()
    while any(left):
        parts = [data.draw(st.integers(0, one)) for one in left]
        parts = left if not any(parts) else parts
        left = [one - part for one, part in zip(left, parts, strict=True)]
        given.append(parts)
        notes.append(credit_invoice(found, notes, {n: from_minor(part, "EUR") for n, part in enumerate(parts)}))
    taxes = oracle.credit(nets, Fraction(vat.percent), int(found.tax * 100), given)
    assert [int(note.tax * 100) for note in notes] == taxes
    assert sum(note.total for note in notes) == found.total or not any(nets)
    assert all(note.tax >= 0 for note in notes)
