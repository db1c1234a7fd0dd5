"""Prices in words: what a model costs in one sentence, and its tiers one by one."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from tollkeeper.billing.models.flat_fee import FlatFee
from tollkeeper.billing.models.graduated import Graduated
from tollkeeper.billing.models.graduated_percentage import GraduatedPercentage
from tollkeeper.billing.models.included import Included
from tollkeeper.billing.models.package import Package
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.models.percentage import Percentage
from tollkeeper.billing.models.volume import Volume
from tollkeeper.billing.money import round_money
from tollkeeper.billing.price_rows import row_at
from tollkeeper.dashboard.formats import FILTERS
from tollkeeper.events.timestamps import END, EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.billing.price_rows import PriceModel, PriceRow
    from tollkeeper.service.documents.prices import Step

__all__ = ["PriceWords", "ShownRow", "price_words", "shown_rows", "step_words"]

MICRO = Decimal(1_000_000)

units = FILTERS["units"]


class PriceWords(Struct, frozen=True):
    """A price as a sentence, and what each of its tiers costs, in their order, as ``(units, price)``."""

    sentence: str
    tiers: list[tuple[str, str]] = []


class ShownRow(Struct, frozen=True, kw_only=True):
    """A dated row in words; no ``start`` is from ever, no ``end`` is on and on."""

    words: PriceWords
    start: datetime | None
    end: datetime | None
    state: Literal["past", "in force", "to come"]


def shown_rows(rows: Sequence[PriceRow], currency: str, now: datetime) -> list[ShownRow]:
    """The rows of a price in words, the newest first."""
    current = row_at(rows, now)
    return [
        ShownRow(
            words=price_words(row.price, currency),
            start=None if row.valid_from == EPOCH else row.valid_from,
            end=None if row.valid_to == END else row.valid_to,
            state="in force" if row is current else "to come" if row.valid_from > now else "past",
        )
        for row in reversed(rows)
    ]


def price_words(price: PriceModel, currency: str) -> PriceWords:  # noqa: PLR0911  # one answer for each model
    """Say what a price model costs."""

    def money(amount: Decimal) -> str:
        return _money(amount, currency)

    match price:
        case PerUnit():
            return PriceWords(f"{money(price.unit_price)} each")
        case FlatFee():
            return PriceWords(f"{money(price.fee)} a period{'' if price.prorated else ', whole also for a part of it'}")
        case Package():
            free = f", after {units(price.free_units)} free" if price.free_units else ""
            return PriceWords(f"{money(price.package_price)} for each {units(price.size)} begun{free}")
        case Included():
            return PriceWords(f"{units(price.included_units)} included, then {money(price.unit_price)} each")
        case Percentage():
            return PriceWords(_percentage(price, currency))
        case Graduated() | Volume():
            tiers = [(tier.up_to, f"{money(tier.unit_price)} each", tier.flat_fee) for tier in price.tiers]
            said = "Each unit at its tier" if isinstance(price, Graduated) else "All units at the tier that they reach"
            return PriceWords(said, _tiers(tiers, currency))
        case GraduatedPercentage():
            shares = [(tier.up_to, f"{units(tier.rate)}%", tier.flat_fee) for tier in price.tiers]
            return PriceWords("A share of the amount, by tiers", _tiers(shares, currency))


def step_words(step: Step, currency: str) -> str:
    """Say how much of a quantity fell into one tier, and what it costs there."""
    quantity = units(Decimal(step.quantity) / MICRO)
    if not step.cost:
        return f"{quantity} free"
    each = f"{units(step.rate)}%" if step.rate is not None else f"{_money(step.price or Decimal(0), currency)} each"
    return f"{quantity} at {each}" + (f" + {_money(step.flat, currency)}" if step.flat else "")


def _money(amount: Decimal, currency: str) -> str:
    """An amount with the decimals of its currency where it can be paid, else with as many as it has."""
    payable = round_money(amount, currency)
    return f"{payable:,f} {currency}" if payable == amount else f"{units(amount)} {currency}"


def _tiers(tiers: Iterable[tuple[Decimal | None, str, Decimal]], currency: str) -> list[tuple[str, str]]:
    said, before = [], None
    for up_to, each, fee in tiers:
        if up_to is None:
            span = "All" if before is None else f"Above {units(before)}"
        else:
            span = f"First {units(up_to)}" if before is None else f"{units(before)} to {units(up_to)}"
        said.append((span, f"{each} + {_money(fee, currency)}" if fee else each))
        before = up_to
    return said


def _percentage(price: Percentage, currency: str) -> str:
    parts = [f"{units(price.rate)}% of each amount"]
    if price.fixed_fee:
        parts.append(f" + {_money(price.fixed_fee, currency)}")
    for bound, word in ((price.minimum, "at least"), (price.maximum, "at most")):
        if bound is not None:
            parts.append(f", {word} {_money(bound, currency)}")
    if price.free_events is not None:
        parts.append(f", the first {price.free_events:,} events free")
    if price.free_amount is not None:
        parts.append(f", the first {_money(price.free_amount, currency)} free")
    return "".join(parts)
