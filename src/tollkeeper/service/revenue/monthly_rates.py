"""What each customer pays again and again, brought to a month: the rate behind monthly recurring revenue.

Recurring are base fees, flat fees and what is missing to a minimum, of invoices that are not void. A monthly fee counts
in the month in which its time begins. A year's counts a twelfth in each of its twelve months. Of periods of days and
weeks, what began in the month is divided by the days that it is for, and counts for a twelfth of 365 days.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tollkeeper.billing.plan import Plan
from tollkeeper.service.invoicing.months import month_span, months_before
from tollkeeper.store.invoices import InvoiceLine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tollkeeper.billing.period import PeriodUnit
    from tollkeeper.store.protocols import Records

__all__ = ["Rates", "monthly_rates"]

RECURRING = ["base_fee", "fee", "minimum"]
"""The kinds of charges that come again, however much is used."""
STATES = ["draft", "finalized", "paid"]
A_YEAR = 12
DAYS = {"day": 1, "week": 7}
DAYS_A_MONTH = Fraction(365, 12)

Rates = dict[tuple[str, str], Fraction | int]
"""Minor units a month, by currency and customer."""


def monthly_rates(records: Records, months: Sequence[str]) -> list[Rates]:
    """The rates of consecutive months, with nobody in it whose rate is not above zero."""
    periods: dict[str, PeriodUnit] = {plan.id: plan.period for plan in records.find(Plan)}
    found: list[Rates] = [defaultdict(int) for _ in months]
    yearly = [plan for plan, period in periods.items() if period == "year"]
    short = [plan for plan, period in periods.items() if period in DAYS]
    for place, month in enumerate(months):
        for (currency, customer, plan), net in _sums(records, ("currency", "customer", "plan"), month).items():
            if periods.get(plan) == "year":
                _spread(found, place, (currency, customer), net)
            elif periods.get(plan) not in DAYS:
                found[place][currency, customer] += net
        if short:
            _add_short(found[place], _short(records, month, short), periods)
    for before, month in enumerate(months_before(months[0], A_YEAR - 1) if yearly else (), 1):
        for key, net in _sums(records, ("currency", "customer"), month, plan=yearly).items():
            _spread(found, -before, key, net)
    return [{key: rate for key, rate in rates.items() if rate > 0} for rates in found]


def _sums(records: Records, by: Sequence[str], month: str, **where: Any) -> dict[Any, int]:
    span = month_span(month, "UTC")
    return records.sums(InvoiceLine, "net", by, start=span.start, end=span.end, kind=RECURRING, state=STATES, **where)


def _short(records: Records, month: str, plans: list[str]) -> dict[Any, int]:
    return _sums(records, ("currency", "customer", "subscription", "plan", "at"), month, plan=plans)


def _spread(rates: Sequence[Rates], place: int, key: tuple[str, str], net: int) -> None:
    """Count a twelfth in each of the twelve months from the one at ``place`` on, which may be before the first."""
    for month in range(max(place, 0), min(place + A_YEAR, len(rates))):
        rates[month][key] += Fraction(net, A_YEAR)


def _add_short(rates: Rates, sums: Mapping[Any, int], periods: Mapping[str, PeriodUnit]) -> None:
    """Add what subscriptions pay for days or weeks: the average of a day, for the days of a month."""
    subscriptions: defaultdict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    for (currency, customer, subscription, plan, _), net in sums.items():
        subscriptions[currency, customer, subscription, plan].append(net)
    for (currency, customer, _, plan), nets in subscriptions.items():
        rates[currency, customer] += Fraction(sum(nets), len(nets) * DAYS[periods[plan]]) * DAYS_A_MONTH
