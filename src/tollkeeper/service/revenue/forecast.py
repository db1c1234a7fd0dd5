"""What the running month may come to: its drafts, with their usage brought to the end of the time that they bill."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tollkeeper.billing.money import from_minor
from tollkeeper.billing.period import PeriodUnit, period_at
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.subscription import Subscription
from tollkeeper.events.ids import record_time
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.invoicing.months import check_month, month_span, months_before
from tollkeeper.store.invoices import Invoice, InvoiceLine

if TYPE_CHECKING:
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Records

__all__ = ["Forecast", "MonthForecast", "forecast"]

USAGE = ["usage", "discount", "prepaid", "maximum"]
"""The kinds of charges that grow as more is used, or that take something off them."""
Period = tuple[Any, ...]
"""A currency, a subscription, its plan, and when the period begins; a one-off line has no subscription and no plan."""
MICROSECOND = timedelta(microseconds=1)
BILLED = ["draft", "finalized", "paid"]


class Forecast(Struct, frozen=True, kw_only=True):
    """A month in one currency, without taxes: ``expected`` is ``fees`` and the usage that is to be expected.

    ``fees`` has all that does not follow usage, and what will be missing to minimums. ``last_month`` is what the
    invoices of the month before come to, with those that are drafts still.
    """

    currency: str
    fees: Decimal
    usage_so_far: Decimal
    usage_expected: Decimal
    expected: Decimal
    last_month: Decimal


class MonthForecast(Struct, frozen=True, kw_only=True):
    """The forecast of a month from its ``drafts``.

    ``counted_to`` is when they were last worked out, and so how fresh they are; None without one.
    """

    month: str
    drafts: int
    counted_to: datetime | None
    currencies: list[Forecast]


def forecast(service: Service, month: str, now: datetime) -> MonthForecast:
    """Work a month out from the drafts that are there, as of the last full ten minutes; no event is read.

    Each line of usage grows by the share of its billing period that is over; what is missing to a minimum shrinks as
    the usage of its subscription grows. Raises InvalidRequestError for what is no month.
    """
    at = now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0)
    return service.revenue.answer(_forecast, check_month(month), at)


def _forecast(records: Records, month: str, now: datetime) -> MonthForecast:
    drafts = _invoices(records, month, ["draft"])
    periods = _by_period(records, drafts)
    elapsed = _Elapsed(
        periods={plan.id: plan.period for plan in records.find(Plan)},
        cuts=_cuts(records, periods),
        now=now,
        end=month_span(month, "UTC").end,
    )
    sums: defaultdict[str, _Sums] = defaultdict(_Sums)
    for (currency, subscription, plan, at), (fees, usage, missing) in periods.items():
        expected = round(usage / elapsed.share(subscription, plan, at))
        one = sums[currency]
        one.fees += fees + missing - min(max(expected - usage, 0), missing)
        one.usage += usage
        one.expected += expected
    before = _invoices(records, months_before(month, 1)[0], BILLED)
    last = records.sums(InvoiceLine, "net", ("currency",), invoice=before)
    return MonthForecast(
        month=month,
        drafts=len(drafts),
        counted_to=_counted_to(records, drafts),
        currencies=[
            Forecast(
                currency=currency,
                fees=from_minor(sums[currency].fees, currency),
                usage_so_far=from_minor(sums[currency].usage, currency),
                usage_expected=from_minor(sums[currency].expected, currency),
                expected=from_minor(sums[currency].fees + sums[currency].expected, currency),
                last_month=from_minor(last.get((currency,), 0), currency),
            )
            for currency in sorted({*sums, *(currency for (currency,) in last)})
        ],
    )


class _Sums(Struct):
    """What adds up in a currency, in minor units."""

    fees: int = 0
    usage: int = 0
    expected: int = 0


class _Elapsed(Struct, frozen=True, kw_only=True):
    """How much of billing periods is over at a time; none ends behind ``end``, or where its subscription is cut."""

    periods: Mapping[str, PeriodUnit]
    cuts: Mapping[str | None, Sequence[datetime]]
    now: datetime
    end: datetime

    def share(self, subscription: str | None, plan: str | None, at: datetime) -> Fraction:
        """The share that is over of a period that began ``at``, 1 where nothing is to come or to be told."""
        if plan is None or plan not in self.periods:
            return Fraction(1)
        cuts = self.cuts.get(subscription, ())
        cut = cuts[bisect_right(cuts, at) :][:1]
        end = min([period_at(at, self.periods[plan], "UTC", at).end, self.end, *cut])
        if not at < self.now < end:
            return Fraction(1)
        return Fraction((self.now - at) // MICROSECOND, (end - at) // MICROSECOND)


def _by_period(records: Records, drafts: list[str]) -> dict[Period, list[int]]:
    """The fees, the usage, and what is missing to the minimum, of each subscription and period."""
    found: defaultdict[Period, list[int]] = defaultdict(lambda: [0, 0, 0])
    by = ("kind", "currency", "subscription", "plan", "at")
    for (kind, *period), net in records.sums(InvoiceLine, "net", by, invoice=drafts).items():
        place = 1 if kind in USAGE else 2 if kind == "minimum" else 0
        found[tuple(period)][place] += net
    return found


def _cuts(records: Records, periods: Iterable[Period]) -> Mapping[str | None, Sequence[datetime]]:
    """When subscriptions end, and when a part of a period begins, as where the plan was changed at once; in order."""
    found: defaultdict[str | None, list[datetime]] = defaultdict(list)
    for _, subscription, _, at in periods:
        if subscription is not None:
            found[subscription].append(at)
    for one in records.find(Subscription, id=sorted(filter(None, found))):
        if one.ended_at is not None:
            found[one.id].append(one.ended_at)
    return {subscription: sorted(cuts) for subscription, cuts in found.items()}


def _counted_to(records: Records, drafts: list[str]) -> datetime | None:
    """When the newest draft was worked out, by its lines, which are made anew each time."""
    lines = records.find(InvoiceLine, invoice=max(drafts)) if drafts else []
    return from_microseconds(record_time(lines[-1].id)) if lines else None


def _invoices(records: Records, month: str, states: list[str]) -> list[str]:
    """The ids of a month's invoices, without what they say."""
    return [invoice for (invoice,) in records.sums(Invoice, "attempt", ("id",), period=month, state=states)]
