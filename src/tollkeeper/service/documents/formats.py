"""Money, quantities and days as a customer writes them."""

from __future__ import annotations

import decimal
import re
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from tollkeeper.billing.currencies import MINOR_DIGITS
from tollkeeper.service.documents.library import library

__all__ = ["Formats", "formats_for"]

PRICE_DIGITS = 12
QUANTITY_DIGITS = 6
COST_DIGITS = 6
PRECISION = 100
INSTANT = timedelta(microseconds=1)
# Of those that we have words for; English ones run from left to right, whatever the numbers among them.
RIGHT_TO_LEFT = frozenset({"ar", "he"})
LEFT_TO_RIGHT_MARK = "\u200e"
# CLDR wants a space between them, which Babel leaves out.
LETTER_AND_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")
LETTER = frozenset({"CA", "MX", "US"})


class Formats(Struct, frozen=True):
    """How a locale of Babel writes amounts of one currency, and days of one time zone; digits are the Latin ones."""

    locale: Any
    currency: str
    zone: ZoneInfo

    @property
    def language(self) -> str:
        """Its code, as de."""
        return str(self.locale.language)

    @property
    def rtl(self) -> bool:
        """Whether the document runs from right to left."""
        return self.language in RIGHT_TO_LEFT

    @property
    def paper(self) -> str:
        """The size of paper that is usual there."""
        return "us-letter" if self.locale.territory in LETTER else "a4"

    def money(self, amount: Decimal) -> str:
        """An amount with its currency and the decimals that ISO 4217 gives it."""
        return self._money(amount, self._digits)

    def price(self, amount: Decimal) -> str:
        """A price with all its decimals, which may be more than those of the currency."""
        return self._money(amount, PRICE_DIGITS)

    def cost(self, exact: Fraction) -> str:
        """What is not rounded yet, with up to six decimals."""
        scaled = abs(exact) * 10**COST_DIGITS
        units = int(scaled + Fraction(1, 2))
        return self._money(self._decimal(units if exact >= 0 else -units, COST_DIGITS), COST_DIGITS)

    def amount(self, amount: Decimal) -> str:
        """An amount in a column whose head names the currency."""
        return self._number(amount, self._digits, self._digits)

    def quantity(self, millionths: int) -> str:
        """A quantity with the decimals that it has."""
        return self._number(self._decimal(millionths, QUANTITY_DIGITS), 0, QUANTITY_DIGITS)

    def units(self, units: Decimal) -> str:
        """A number of units, as tiers have it."""
        return self._number(units, 0, PRICE_DIGITS)

    def percent(self, percent: Decimal) -> str:
        """A rate that is given in per cent."""
        pattern = self._pattern(self.locale.percent_formats[None], 0, PRICE_DIGITS)
        with decimal.localcontext(prec=PRECISION):
            return str(pattern.apply(percent.scaleb(-2), self.locale))

    def day(self, at: datetime) -> str:
        """The day of a time."""
        return str(library("babel.dates").format_date(at.astimezone(self.zone).date(), "long", locale=self.locale))

    def days(self, start: datetime, end: datetime) -> str:
        """The days from one to another, the last included; ``end`` is exclusive."""
        first = start.astimezone(self.zone).date()
        last = max((end - INSTANT).astimezone(self.zone).date(), first)
        return str(library("babel.dates").format_interval(first, last, "yMMMd", locale=self.locale))

    @property
    def _digits(self) -> int:
        return MINOR_DIGITS[self.currency]

    def _money(self, amount: Decimal, digits: int) -> str:
        pattern = self._pattern(self.locale.currency_formats["standard"], self._digits, max(digits, self._digits))
        with decimal.localcontext(prec=PRECISION):
            text = pattern.apply(amount, self.locale, currency=self.currency, currency_digits=False)
        return self._minus(LETTER_AND_DIGIT.sub("\u00a0", text))

    def _number(self, number: Decimal, least: int, most: int) -> str:
        pattern = self._pattern(self.locale.decimal_formats[None], least, most)
        with decimal.localcontext(prec=PRECISION):
            text = pattern.apply(number, self.locale)
        return self._minus(text)

    def _minus(self, text: str) -> str:
        # Without the mark that CLDR has before it and Babel leaves out, the sign would stand on the other side.
        return text.replace("-", f"{LEFT_TO_RIGHT_MARK}-") if self.rtl else text

    def _pattern(self, pattern: Any, least: int, most: int) -> Any:
        found = library("babel.numbers").parse_pattern(pattern.pattern)
        found.frac_prec = (least, most)
        return found

    def _decimal(self, units: int, digits: int) -> Decimal:
        with decimal.localcontext(prec=PRECISION):
            return Decimal(units).scaleb(-digits)


def formats_for(language: str, currency: str, zone: str) -> Formats:
    """Find the formats of a BCP 47 tag: of the nearest locale that Babel knows, in the end English."""
    core = library("babel.core")
    parts = language.split("-")
    for tag in ("-".join(parts[:length]) for length in range(len(parts), 0, -1)):
        try:
            return Formats(core.Locale.parse(tag, sep="-"), currency, ZoneInfo(zone))
        except (ValueError, core.UnknownLocaleError):
            continue
    return Formats(core.Locale("en"), currency, ZoneInfo(zone))
