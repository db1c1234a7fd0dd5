"""``/v1/revenue``: what was earned, what comes again, and what this month may come to; and how fast answers were."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from tollkeeper.api.queries import EndQuery, StartQuery, period_from
from tollkeeper.metering.usage import Filters
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.invoicing.months import month_of
from tollkeeper.service.revenue.calendar import revenue_span
from tollkeeper.service.revenue.forecast import MonthForecast, forecast
from tollkeeper.service.revenue.months import MonthRevenue, revenue_by_month
from tollkeeper.service.revenue.ranking import RankedRevenue, RevenueBy, top_revenue
from tollkeeper.service.revenue.recurring import MonthRecurring, recurring
from tollkeeper.service.revenue.times import ResponseTimes, TimesBy, response_times

__all__ = ["REVENUE_HANDLERS"]

TAGS = ["Revenue"]
FromMonth = Annotated[
    str | None, QueryParameter(name="from", description="Start, included. Default: eleven months before this one.")
]
ToMonth = Annotated[str | None, QueryParameter(name="to", description="End, excluded. Default: the end of this month.")]


class RevenueMonths(Struct, frozen=True):
    """Revenue by month and currency, oldest first."""

    months: list[MonthRevenue]


class RecurringMonths(Struct, frozen=True):
    """Recurring revenue by month and currency, oldest first."""

    months: list[MonthRecurring]


class RevenueRanking(Struct, frozen=True):
    """A ranking for each currency, most first."""

    by: RevenueBy
    rows: list[RankedRevenue]


class Times(Struct, frozen=True):
    """Response times, those with the most requests first."""

    by: TimesBy
    rows: list[ResponseTimes]


@get("/v1/revenue/months", sync_to_thread=True, summary="Revenue by month", tags=TAGS)
def get_revenue_months(
    service: NamedDependency[Service], start: FromMonth = None, end: ToMonth = None
) -> RevenueMonths:
    """Add up what final invoices charge by month, less credit notes, without taxes."""
    return RevenueMonths(service.revenue.answer(revenue_by_month, *revenue_span(start, end, datetime.now(UTC))))


@get("/v1/revenue/top", sync_to_thread=True, summary="Who and what brings the most", tags=TAGS)
def get_revenue_top(
    *,
    service: NamedDependency[Service],
    by: FromQuery[RevenueBy],
    start: FromMonth = None,
    end: ToMonth = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="Members of each currency at most.")] = 10,
) -> RevenueRanking:
    """Rank revenue by API, route, customer or plan."""
    return RevenueRanking(
        by, service.revenue.answer(top_revenue, by, *revenue_span(start, end, datetime.now(UTC)), limit)
    )


@get("/v1/revenue/recurring", sync_to_thread=True, summary="Monthly recurring revenue", tags=TAGS)
def get_revenue_recurring(
    service: NamedDependency[Service], start: FromMonth = None, end: ToMonth = None
) -> RecurringMonths:
    """Tell what recurs by month, and who came, pays more, pays less or left."""
    return RecurringMonths(service.revenue.answer(recurring, *revenue_span(start, end, datetime.now(UTC))))


@get("/v1/revenue/forecast", sync_to_thread=True, summary="Forecast of a month", tags=TAGS)
def get_revenue_forecast(
    service: NamedDependency[Service],
    month: Annotated[str | None, QueryParameter(description="As 2026-10. Default: the running one.")] = None,
) -> MonthForecast:
    """Tell what the drafts of a month may come to, beside the month before."""
    now = datetime.now(UTC)
    return forecast(service, month or month_of(now), now)


@get("/v1/analytics/times", sync_to_thread=True, summary="Best and average response times", tags=["Analytics"])
def get_times(
    *,
    service: NamedDependency[Service],
    filters: NamedDependency[Filters],
    by: FromQuery[TimesBy] = "route",
    start: StartQuery = None,
    end: EndQuery = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="Rows at most.")] = 100,
) -> Times:
    """Tell how fast answers were, in seconds, by API and version or by route."""
    return Times(by, response_times(service.events, by, period_from(start, end), filters=filters, limit=limit))


REVENUE_HANDLERS = (
    get_revenue_months,
    get_revenue_top,
    get_revenue_recurring,
    get_revenue_forecast,
    get_times,
)
