"""Monthly recurring revenue, and what moved it: who came, pays more, pays less, or left."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.money import from_minor, round_money
from tollkeeper.service.invoicing.months import months_before
from tollkeeper.service.revenue.calendar import months_between
from tollkeeper.service.revenue.monthly_rates import monthly_rates

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tollkeeper.store.protocols import Records

__all__ = ["MonthRecurring", "Movement", "recurring"]

Rate = Fraction | int


class Movement(Struct, frozen=True):
    """How many customers moved, and by how much in all, above zero either way."""

    customers: int
    amount: Decimal


class MonthRecurring(Struct, frozen=True, kw_only=True):
    """A month in one currency, against the month before; who comes back is ``new``. Each amount is rounded by itself.

    ``net_retention`` is what those who paid the month before pay now, as a share of what they paid then; None when
    there was nothing.
    """

    month: str
    currency: str
    amount: Decimal
    customers: int
    new: Movement
    expansion: Movement
    contraction: Movement
    churned: Movement
    net_retention: float | None


def recurring(records: Records, start: datetime, end: datetime) -> list[MonthRecurring]:
    """Tell the recurring revenue of the months of ``[start, end)``, oldest first, each whole.

    Raises InvalidRequestError for more than 120 months.
    """
    months = months_between(start, end)
    rates = [_by_currency(one) for one in monthly_rates(records, [*months_before(months[0], 1), *months])]
    return [
        _compare(month, currency, before.get(currency, {}), now.get(currency, {}))
        for month, before, now in zip(months, rates, rates[1:], strict=False)
        for currency in sorted({*before, *now})
    ]


def _by_currency(rates: Mapping[tuple[str, str], Rate]) -> dict[str, dict[str, Rate]]:
    found: defaultdict[str, dict[str, Rate]] = defaultdict(dict)
    for (currency, customer), rate in rates.items():
        found[currency][customer] = rate
    return found


def _compare(month: str, currency: str, before: Mapping[str, Rate], now: Mapping[str, Rate]) -> MonthRecurring:
    new = [rate for customer, rate in now.items() if customer not in before]
    churned = [rate for customer, rate in before.items() if customer not in now]
    stayed = [(before[customer], rate) for customer, rate in now.items() if customer in before]
    more = [rate - old for old, rate in stayed if rate > old]
    less = [old - rate for old, rate in stayed if rate < old]
    kept, earlier = sum(rate for _, rate in stayed), sum(before.values())
    return MonthRecurring(
        month=month,
        currency=currency,
        amount=_money(sum(now.values()), currency),
        customers=len(now),
        new=Movement(len(new), _money(sum(new), currency)),
        expansion=Movement(len(more), _money(sum(more), currency)),
        contraction=Movement(len(less), _money(sum(less), currency)),
        churned=Movement(len(churned), _money(sum(churned), currency)),
        net_retention=round(float(kept / Fraction(earlier)), 4) if earlier else None,
    )


def _money(minor: Rate, currency: str) -> Decimal:
    unit = Fraction(from_minor(1, currency))
    return round_money(minor * unit, currency)
