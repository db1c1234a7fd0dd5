from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.billing.currencies import MINOR_DIGITS
from tollkeeper.billing.money import check_payable, from_minor, round_money, to_minor, total
from tollkeeper.billing.spread import spread
from tollkeeper.errors import UnprocessableError


@pytest.mark.parametrize(("currency", "digits"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("IQD", 3)])
def test_minor_units_are_those_of_iso_4217(currency: str, digits: int) -> None:
    assert MINOR_DIGITS[currency] == digits
    assert str(from_minor(5, currency)) == f"{5 / 10**digits:.{digits}f}"


def test_codes_are_codes() -> None:
    assert all(len(code) == 3 and code.isupper() for code in MINOR_DIGITS)
    assert len(MINOR_DIGITS) > 150


@pytest.mark.parametrize("currency", ["XXX", "XAU", "eur", "", "DEM"])
def test_what_is_no_money_is_refused(currency: str) -> None:
    with pytest.raises(UnprocessableError, match="ISO 4217"):
        round_money(Fraction(1), currency)


def test_a_third_is_exact_until_it_is_rounded() -> None:
    assert round_money(Fraction(1, 3) * 3, "EUR") == 1
    assert str(round_money(Fraction(2, 3), "EUR")) == "0.67"
    assert str(round_money(Fraction(-1, 200), "EUR")) == "-0.01"
    assert str(round_money(Fraction(-1, 300), "EUR")) == "0.00"


def test_the_context_of_the_host_app_does_not_matter() -> None:
    with localcontext(prec=2):
        assert str(round_money(Fraction(123456789, 1000), "EUR")) == "123456.79"
        assert str(total([Decimal("123456.78"), Decimal("0.01")], "EUR")) == "123456.79"
        assert to_minor(Decimal("123456.78"), "EUR") == 12345678


@given(st.integers(-(10**40), 10**40), st.sampled_from(sorted(MINOR_DIGITS)))
def test_minor_units_go_there_and_back(units: int, currency: str) -> None:
    assert to_minor(from_minor(units, currency), currency) == units


@given(st.fractions(), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_rounding_is_to_the_nearest_and_symmetric(exact: Fraction, currency: str) -> None:
    amount = round_money(exact, currency)
    assert abs(Fraction(amount) - exact) <= Fraction(1, 2 * 10 ** MINOR_DIGITS[currency])
    assert round_money(-exact, currency) == amount.copy_negate()


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("0.001", "EUR"),
        ("0.5", "JPY"),
        ("NaN", "EUR"),
        ("sNaN", "EUR"),
        ("Infinity", "EUR"),
        ("1E[+]999999999", "EUR"),  # written out, it would take minutes
        ("1E-999999999", "EUR"),
    ],
)
def test_what_the_currency_cannot_show_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(UnprocessableError, match=f"balance is {amount} {currency}: give one with up to"):
        check_payable("balance", Decimal(amount.replace("[+]", "+")), currency)
    assert check_payable("balance", Decimal("1.000"), "JPY") == 1


@given(st.lists(st.integers(0, 50), min_size=1, max_size=9), st.integers(0, 100))
def test_a_spread_loses_nothing_and_overdraws_no_line(weights: list[int], per_cent: int) -> None:
    amount = sum(weights) * per_cent // 100
    shares = spread(amount, weights)
    assert sum(shares) == amount
    assert all(0 <= share <= weight for share, weight in zip(shares, weights, strict=True))


def test_the_last_takes_the_cent() -> None:
    assert spread(1000, [1000, 1000, 1000]) == [333, 333, 334]
    assert spread(2000, [1000, 1000, 1000]) == [667, 667, 666]
    assert spread(5, [1] * 10) == [1] * 5 + [0] * 5
    assert spread(4, [1] * 10) == [0] * 6 + [1] * 4
    assert spread(0, []) == []
