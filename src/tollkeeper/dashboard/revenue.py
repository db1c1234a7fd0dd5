"""Revenue: what was invoiced by month, what comes again, who and what brings the most."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get
from msgspec import Struct

from tollkeeper.billing.product import ApiRoute, ApiVersion
from tollkeeper.dashboard.month_charts import movement_chart, revenue_chart
from tollkeeper.dashboard.revenue_cards import revenue_cards
from tollkeeper.dashboard.tables import to_csv
from tollkeeper.dashboard.view import View, parse_view
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.invoicing.months import month_of
from tollkeeper.service.revenue.calendar import last_months, months_between
from tollkeeper.service.revenue.forecast import MonthForecast, forecast
from tollkeeper.service.revenue.months import MonthRevenue, revenue_by_month
from tollkeeper.service.revenue.ranking import RankedRevenue, RevenueBy, top_revenue
from tollkeeper.service.revenue.recurring import MonthRecurring, recurring

if TYPE_CHECKING:
    from litestar.di import NamedDependency

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Records

__all__ = ["REVENUE_PAGES"]

SPANS = {"6": "6 months", "12": "12", "24": "24", "36": "36"}
DEFAULT = "12"
SHOWN = 10
RANKINGS: tuple[tuple[RevenueBy, str], ...] = (("customer", "Customers"), ("api", "APIs"), ("route", "Routes"))
HEAD = ["month", "currency", "charged", "credited", "net"]


class Books(Struct, frozen=True, kw_only=True):
    """What is told of the months of a page, in all currencies; ``months`` end with the running one."""

    months: list[str]
    earned: list[MonthRevenue]
    recurring: list[MonthRecurring]
    rankings: dict[RevenueBy, list[RankedRevenue]]
    pages: dict[str, str]


@get("/revenue", sync_to_thread=True)
def revenue(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """Show the figures, the charts and the rankings of some months in one currency."""
    view = parse_view(request)
    now = datetime.now(UTC)
    span = _span(view)
    books = _books(service, *last_months(now, int(span)))
    coming = forecast(service, month_of(now), now)
    currencies = _currencies(books, coming)
    asked = view.query.get("currency")
    if asked and asked not in currencies:
        raise InvalidRequestError(f"currency is {asked[:10]!r}: choose one of {', '.join(currencies) or 'none yet'}.")
    shown = {"months": None if span == DEFAULT else span, "currency": asked}
    if not currencies:
        return pages.render(request, "no_revenue.html", view=view)
    currency = asked or currencies[0]
    earned = {one.month: one for one in books.earned if one.currency == currency}
    moved = {one.month: one for one in books.recurring if one.currency == currency}
    drafts = next((one for one in coming.currencies if one.currency == currency), None)
    return pages.render(
        request,
        "revenue.html",
        view=view,
        spans=SPANS,
        span=span,
        shown=shown,
        default=DEFAULT,
        currency=currency,
        currencies=currencies,
        coming=coming,
        cards=revenue_cards(books.months, currency, earned, moved, drafts if coming.drafts else None),
        charts=[
            revenue_chart(view, books.months, currency, earned, drafts),
            movement_chart(view, books.months, currency, moved),
        ],
        rankings=[(name, [one for one in books.rankings[by] if one.currency == currency]) for by, name in RANKINGS],
        links=books.pages,
    )


@get("/revenue.csv", sync_to_thread=True)
def revenue_csv(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Send the revenue of the months, in all currencies."""
    span = _span(parse_view(request))
    start, end = last_months(datetime.now(UTC), int(span))
    found = service.revenue.answer(revenue_by_month, start, end)
    return to_csv("revenue", HEAD, ([getattr(one, name) for name in HEAD] for one in found))


def _span(view: View) -> str:
    span = view.query.get("months") or DEFAULT
    if span not in SPANS:
        raise InvalidRequestError(f"months is {span[:10]!r}: choose one of {', '.join(SPANS)}.")
    return span


def _books(service: Service, start: datetime, end: datetime) -> Books:
    answer = service.revenue.answer
    rankings = {by: answer(top_revenue, by, start, end, SHOWN) for by, _ in RANKINGS}
    with service.catalog.reading() as records:
        pages = _pages(records, rankings)
    return Books(
        months=months_between(start, end),
        earned=answer(revenue_by_month, start, end),
        recurring=answer(recurring, start, end),
        rankings=rankings,
        pages=pages,
    )


def _pages(records: Records, rankings: dict[RevenueBy, list[RankedRevenue]]) -> dict[str, str]:
    """The page of each member of a ranking, by its id."""
    links = {one.key: f"/customers/{one.key}" for one in rankings["customer"] if one.key}
    links |= {one.key: f"/apis/{one.key}" for one in rankings["api"] if one.key}
    routes = records.find(ApiRoute, id=[one.key for one in rankings["route"] if one.key])
    versions = {one.id: one.api for one in records.find(ApiVersion, id=[route.version for route in routes])}
    return links | {route.id: f"/apis/{versions[route.version]}/{route.id}" for route in routes}


def _currencies(books: Books, coming: MonthForecast) -> list[str]:
    """All currencies, the one with revenue in the most months, and then of the most customers, first."""
    months = Counter(one.currency for one in books.earned)
    customers = Counter({one.currency: one.customers for one in books.recurring})
    known = {*months, *customers, *(one.currency for one in coming.currencies)}
    return sorted(known, key=lambda code: (-months[code], -customers[code], code))


REVENUE_PAGES = (revenue, revenue_csv)
