from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from string import Formatter

import msgspec
import pytest

from tollkeeper.billing.currencies import MINOR_DIGITS
from tollkeeper.service.documents.formats import formats_for
from tollkeeper.service.documents.wording import Words, words_for

LANGUAGES = ["ar", "de", "en", "es", "fr", "he", "it", "ja", "nl", "pt"]


def fields(text: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_all_words_with_the_same_fields(language: str) -> None:
    english, words = msgspec.structs.asdict(words_for("en")), msgspec.structs.asdict(words_for(language))
    assert {name: fields(text) for name, text in words.items()} == {
        name: fields(text) for name, text in english.items()
    }
    assert words["language"] == language
    assert all(text.strip() == text and text for text in words.values())


def test_all_languages_are_there_and_others_get_english() -> None:
    folder = files("tollkeeper.service.documents") / "languages"
    assert sorted(one.name for one in folder.iterdir()) == [f"{language}.toml" for language in LANGUAGES]
    english = tomllib.loads((folder / "en.toml").read_text(encoding="utf-8"))
    assert list(english) == [field.name for field in msgspec.structs.fields(Words)]
    assert words_for("sv") == words_for("en")
    assert words_for("../en") == words_for("en")


@pytest.mark.parametrize(
    ("language", "found"),
    [
        ("de", "de"),
        ("de-AT", "de_AT"),
        ("zh-Hant-TW", "zh_Hant_TW"),
        ("de-XX", "de"),
        ("en-x-private", "en"),
        ("iw", "he_IL"),
        ("zz", "en"),
        ("", "en"),
        ("../../etc", "en"),
    ],
)
def test_the_nearest_locale_serves(language: str, found: str) -> None:
    assert str(formats_for(language, "EUR", "UTC").locale) == found


@pytest.mark.parametrize("currency", sorted(MINOR_DIGITS))
def test_each_currency_has_the_decimals_of_iso_4217(currency: str) -> None:
    digits = MINOR_DIGITS[currency]
    text = formats_for("en", currency, "UTC").money(Decimal(1234).quantize(Decimal(1).scaleb(-digits)))
    assert text.endswith("1,234" + ("." + "0" * digits if digits else ""))


def test_amounts_are_exact_at_any_size_and_prices_keep_their_decimals() -> None:
    formats = formats_for("en", "EUR", "UTC")
    assert formats.money(Decimal("9" * 40 + ".99")).replace(",", "") == "€" + "9" * 40 + ".99"
    assert formats.price(Decimal("0.000123456789")) == "€0.000123456789"
    assert formats.price(Decimal(2)) == "€2.00"
    assert formats.cost(Fraction(-10, 3)) == "-€3.333333"
    assert formats.cost(Fraction(1, 2_000_000)) == "€0.000001"
    assert formats.quantity(1_500_001) == "1.500001"
    assert formats.quantity(12_000_000) == "12"
    assert formats.percent(Decimal("7.7")) == "7.7%"


def test_signs_stand_where_readers_of_hebrew_look_for_them() -> None:
    assert formats_for("he", "ILS", "UTC").amount(Decimal("-5.00")) == "\u200e-5.00"


@pytest.mark.parametrize(
    ("language", "days"),
    [("de", "1.\u201331. Okt. 2026"), ("en", "Oct 1\u2009\u2013\u200931, 2026"), ("ja", "2026年10月1日～31日")],  # noqa: RUF001  # as it is written there
)
def test_periods_end_with_their_last_day(language: str, days: str) -> None:
    formats = formats_for(language, "EUR", "Europe/Berlin")
    start, end = datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert formats.days(start, end) == days
    assert formats.days(start, start) == formats.days(start, datetime(2026, 10, 1, tzinfo=UTC))
