"""Money by month, as charts draw it and as their tables list it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from tollkeeper.billing.money import from_minor, total
from tollkeeper.dashboard.formats import FILTERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tollkeeper.dashboard.view import View
    from tollkeeper.service.revenue.forecast import Forecast
    from tollkeeper.service.revenue.months import MonthRevenue
    from tollkeeper.service.revenue.recurring import MonthRecurring

__all__ = ["MonthChart", "amounts_by_month", "movement_chart", "revenue_chart"]

SHORT = "%b %Y"
MOVEMENTS = (
    ("New", "money", "new", 1),
    ("Expansion", "more", "expansion", 1),
    ("Contraction", "less", "contraction", -1),
    ("Churn", "gone", "churned", -1),
)
"""Name, colour, field, and whether it goes above zero or below."""


class MonthLine(Struct, frozen=True, kw_only=True):
    """One series; ``colour`` names a custom property of the style sheet."""

    name: str
    colour: str
    values: list[Decimal]
    status: None = None


class MonthChart(Struct, frozen=True, kw_only=True):
    """Bars by month in one currency; ``links`` are what a click on a month opens."""

    title: str
    months: list[str]
    currency: str
    lines: list[MonthLine]
    links: list[str]
    kind: Literal["bar"] = "bar"
    unit: Literal["money"] = "money"

    @property
    def span(self) -> str:
        """The time that it shows, in words."""
        return f"last {len(self.months)} months"

    @property
    def first_column(self) -> str:
        """What the rows of its table begin with."""
        return "Month"

    @property
    def data(self) -> dict[str, Any]:
        """The data for the browser."""
        month = FILTERS["month"]
        return {
            "t": [int(datetime.strptime(one, "%Y-%m").replace(tzinfo=UTC).timestamp()) for one in self.months],
            "labels": [month(one, SHORT) for one in self.months],
            "links": self.links,
            "unit": self.unit,
            "currency": self.currency,
            "digits": -int(from_minor(1, self.currency).as_tuple().exponent),
            "partial": None,
            "series": [
                {"name": line.name, "colour": line.colour, "values": [float(value) for value in line.values]}
                for line in self.lines
            ],
        }

    @property
    def rows(self) -> list[tuple[str, list[Decimal], bool]]:
        """The rows of the table, newest first."""
        month = FILTERS["month"]
        return [
            (month(one), [line.values[index] for line in self.lines], False) for index, one in enumerate(self.months)
        ][::-1]


def revenue_chart(
    view: View, months: Sequence[str], currency: str, earned: Mapping[str, MonthRevenue], drafts: Forecast | None
) -> MonthChart:
    """What was invoiced by month; on the last two, what their drafts let expect beyond it."""
    zero = from_minor(0, currency)
    invoiced = amounts_by_month(months, {month: one.net for month, one in earned.items()}, currency)
    expected = [zero for _ in months]
    if drafts is not None:
        for place, whole in ((-1, drafts.expected), (-2, drafts.last_month)):
            final = earned[months[place]].charged if months[place] in earned else zero
            expected[place] = max(total((whole,), currency, less=(final,)), zero)
    lines = [MonthLine(name="Invoiced", colour="money", values=invoiced)]
    if any(expected):
        lines.append(MonthLine(name="Expected by drafts", colour="expected", values=expected))
    return MonthChart(title="Revenue", months=list(months), currency=currency, lines=lines, links=_links(view, months))


def movement_chart(
    view: View, months: Sequence[str], currency: str, recurring: Mapping[str, MonthRecurring]
) -> MonthChart:
    """What moved the recurring revenue: what came above zero, what went below it."""
    lines = []
    for name, colour, field, sign in MOVEMENTS:
        found = {month: sign * getattr(one, field).amount for month, one in recurring.items()}
        lines.append(MonthLine(name=name, colour=colour, values=amounts_by_month(months, found, currency)))
    return MonthChart(
        title="Expansion and churn",
        months=list(months),
        currency=currency,
        lines=lines,
        links=_links(view, months),
    )


def amounts_by_month(months: Sequence[str], found: Mapping[str, Decimal], currency: str) -> list[Decimal]:
    """The amount of each month, 0 where there is none."""
    zero = from_minor(0, currency)
    return [found.get(month, zero) for month in months]


def _links(view: View, months: Sequence[str]) -> list[str]:
    return [view.url("/invoices", month=month) for month in months]
