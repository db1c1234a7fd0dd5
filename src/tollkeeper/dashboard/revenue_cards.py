"""The figures at the head of the revenue page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from tollkeeper.dashboard.cards import Card, compare, sparkline
from tollkeeper.dashboard.formats import FILTERS
from tollkeeper.dashboard.month_charts import amounts_by_month

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from tollkeeper.service.revenue.forecast import Forecast
    from tollkeeper.service.revenue.months import MonthRevenue
    from tollkeeper.service.revenue.recurring import MonthRecurring

__all__ = ["revenue_cards"]


def revenue_cards(
    months: Sequence[str],
    currency: str,
    earned: Mapping[str, MonthRevenue],
    moved: Mapping[str, MonthRecurring],
    drafts: Forecast | None,
) -> list[Card]:
    """The forecast of the running month, the last of them; and of the one before what was invoiced, comes again, left.

    Each changes against the month before; the forecast, which is of drafts, is left open without these.
    """
    whole, last = months[:-1], months[-2]
    invoiced = amounts_by_month(whole, {month: one.net for month, one in earned.items()}, currency)
    rates = amounts_by_month(whole, {month: one.amount for month, one in moved.items()}, currency)
    running, before = (FILTERS["month"](month, "%b") for month in (months[-1], last))
    coming = [*invoiced[:-1], drafts.last_month, drafts.expected] if drafts else []
    return [
        _card(f"Forecast, {running}", coming, currency, "expected"),
        _card(f"Invoiced, {before}", invoiced, currency, "money"),
        _card(f"MRR, {before}", rates, currency, "money"),
        _churn_card(f"Churn, {before}", [_churn(moved, month) for month in whole]),
    ]


def _card(label: str, values: Sequence[Decimal], currency: str, colour: str) -> Card:
    curve = [float(value) for value in values]
    return Card(
        label=label,
        value=_value(values[-1], currency) if values else FILTERS["whole"](None),
        colour=colour,
        spark=sparkline(curve),
        delta=compare(curve[-1], curve[-2], good="up") if curve else None,
    )


def _value(amount: Decimal, currency: str) -> Markup:
    return Markup('{} <span class="open">{}</span>').format(FILTERS["money"](amount), currency)


def _churn_card(label: str, shares: Sequence[float | None]) -> Card:
    good: Literal["down"] = "down"
    return Card(
        label=label,
        value=FILTERS["percent"](shares[-1]),
        colour="gone",
        spark=sparkline(shares),
        delta=compare(shares[-1], shares[-2], good=good, points=True),
    )


def _churn(moved: Mapping[str, MonthRecurring], month: str) -> float | None:
    """Which share of what came again the month before is gone; None when nothing did."""
    one = moved.get(month)
    if one is None:
        return None
    before = one.amount - one.new.amount - one.expansion.amount + one.contraction.amount + one.churned.amount
    return float(one.churned.amount / before) if before > 0 else None
