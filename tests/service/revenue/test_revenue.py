"""Revenue by month, rankings, recurring revenue and the forecast, against sums over every line."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from support.billed import NOW, at
from tollkeeper.billing.money import from_minor
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.revenue.calendar import last_months, months_between
from tollkeeper.service.revenue.forecast import forecast
from tollkeeper.service.revenue.months import MonthRevenue, revenue_by_month
from tollkeeper.service.revenue.ranking import top_revenue
from tollkeeper.service.revenue.recurring import Movement, recurring
from tollkeeper.store.invoices import Invoice, InvoiceLine

if TYPE_CHECKING:
    from service.revenue.conftest import Shop
    from tollkeeper.service.revenue.ranking import RevenueBy

WHOLE = (at(9), at(12))


def euro(text: str) -> Decimal:
    return Decimal(text)


def test_revenue_by_month_is_what_lines_say_less_what_notes_gave_back(shop: Shop) -> None:
    with shop.service.catalog.reading() as records:
        found = {(one.month, one.currency): one for one in revenue_by_month(records, *WHOLE)}
        naive = Counter[tuple[str, str]]()
        for line in records.find(InvoiceLine, state=["finalized", "paid"]):
            naive[f"{line.at:%Y-%m}", line.currency] += line.net
    for key, net in naive.items():
        assert found[key].charged == from_minor(net, key[1])
    assert found["2026-11", "EUR"] == MonthRevenue(
        month="2026-11", currency="EUR", charged=euro("0.00"), credited=euro("11.21"), net=euro("-11.21")
    )
    assert found["2026-09", "JPY"].net == Decimal(3000)
    assert len(found) == 5
    with shop.service.catalog.reading() as records:
        invoices = records.find(Invoice, state=["finalized", "paid"], currency="EUR")
    assert sum(one.charged for one in found.values() if one.currency == "EUR") == sum(one.net for one in invoices)


def test_a_part_of_a_month_has_what_lies_in_it(shop: Shop) -> None:
    with shop.service.catalog.reading() as records:
        (found,) = revenue_by_month(records, at(9, 29), at(10))
    assert (found.month, found.charged) == ("2026-09", euro("4.00"))  # the last two days of the daily plan


@pytest.mark.parametrize("by", ["api", "route", "customer", "plan"])
def test_rankings_add_up_to_all_revenue(shop: Shop, by: RevenueBy) -> None:
    with shop.service.catalog.reading() as records:
        months = revenue_by_month(records, *WHOLE)
        found = top_revenue(records, by, *WHOLE, limit=100)
        first = top_revenue(records, by, *WHOLE, limit=1)
    for currency in ("EUR", "JPY"):
        rows = [one for one in found if one.currency == currency]
        assert sum(one.net for one in rows) == sum(one.net for one in months if one.currency == currency)
        assert [one.net for one in rows] == sorted((one.net for one in rows), reverse=True)
        assert sum(one.share or 0 for one in rows) == pytest.approx(1, abs=0.001)
    assert [one.currency for one in first] == ["EUR", "JPY"]
    assert first[0] == found[0]


def test_rankings_name_what_they_rank(shop: Shop) -> None:
    def names(by: RevenueBy) -> list[str]:
        with shop.service.catalog.reading() as records:
            return [one.name for one in top_revenue(records, by, *WHOLE) if one.currency == "EUR"]

    assert names("route") == ["(not by route)", "orders v1 GET /orders/{id}"]
    assert names("api") == ["(no API)", "orders"]
    assert names("customer") == ["Acme", "Echo", "=Cell()", "Bolt"]
    assert names("plan") == ["gold", "daily", "basic", "(no plan)"]
    with shop.service.catalog.reading() as records:
        credited = top_revenue(records, "customer", at(11), at(12))
    assert [(one.name, one.net, one.share) for one in credited] == [("Acme", euro("-11.21"), None)]


def test_recurring_revenue_is_a_rate_by_month_and_what_moved_it(shop: Shop) -> None:
    with shop.service.catalog.reading() as records:
        found = {(one.month, one.currency): one for one in recurring(records, *WHOLE)}
    daily = Fraction(200 * 365, 12)
    september, october = found["2026-09", "EUR"], found["2026-10", "EUR"]
    acme = {"2026-09": 4250 + 425 + 1267, "2026-10": 5000 + 500 + 1588}
    assert september.amount == from_minor(round(acme["2026-09"] + daily), "EUR")
    assert (september.customers, september.new.customers, september.net_retention) == (2, 2, None)
    assert october.amount == from_minor(round(acme["2026-10"] + daily + 5000 + 500 + 2415), "EUR")
    assert october.new == Movement(1, euro("79.15"))
    assert october.expansion == Movement(1, from_minor(acme["2026-10"] - acme["2026-09"], "EUR"))
    assert october.contraction == october.churned == Movement(0, euro("0.00"))
    assert october.net_retention == round(float((acme["2026-10"] + daily) / (acme["2026-09"] + daily)), 4)
    assert found["2026-11", "JPY"].amount == Decimal(3000)
    assert found["2026-11", "JPY"].net_retention == 1


def test_the_forecast_brings_usage_to_the_end_of_the_month(shop: Shop) -> None:
    found = forecast(shop.service, "2026-11", NOW)
    assert (found.month, found.drafts) == ("2026-11", 5)
    assert found.counted_to is not None
    assert timedelta(0) < datetime.now(UTC) - found.counted_to < timedelta(minutes=10)
    euros, yens = found.currencies
    # Half of November is over. Acme's and Bolt's calls double; Echo's were in a day that is over.
    usage = 188 + 335 + 375 - 38
    assert euros.usage_so_far == from_minor(usage + 4, "EUR")
    assert euros.usage_expected == from_minor(2 * usage + 4, "EUR")
    # What Acme's calls will be worth comes off what is missing to its minimum.
    assert euros.fees == from_minor(2 * 5500 + 1978 + 2500 + 30 * 200 - (188 + 335), "EUR")
    assert euros.expected == euros.fees + euros.usage_expected
    assert (yens.fees, yens.expected, yens.last_month) == (Decimal(3500), Decimal(3500), Decimal(3000))
    with shop.service.catalog.reading() as records:
        last = records.find(Invoice, period="2026-10", currency="EUR")
    assert euros.last_month == sum(one.net for one in last)


def test_a_month_without_drafts_has_no_forecast_but_the_month_before(shop: Shop) -> None:
    found = forecast(shop.service, "2026-12", NOW)
    assert (found.drafts, found.counted_to) == (0, None)
    assert [(one.currency, one.expected, one.last_month > 0) for one in found.currencies] == [
        ("EUR", Decimal("0.00"), True),
        ("JPY", Decimal(0), True),
    ]
    assert forecast(shop.service, "2026-07", NOW).currencies == []
    with pytest.raises(InvalidRequestError, match="2026-1"):
        forecast(shop.service, "2026-1", NOW)


def test_months_are_counted() -> None:
    assert months_between(at(9, 30, 23), at(11)) == ["2026-09", "2026-10"]
    assert len(months_between(at(1).replace(year=2017), at(1).replace(year=2027))) == 120
    for span in ((at(9), at(9)), (at(1).replace(year=2017), at(1, 2).replace(year=2027))):
        with pytest.raises(InvalidRequestError, match="from"):
            months_between(*span)
    assert last_months(NOW) == (at(12).replace(year=2025), at(12))
    assert last_months(NOW, 1) == (at(11), at(12))


def test_a_time_that_ends_before_it_starts_is_refused(shop: Shop) -> None:
    with shop.service.catalog.reading() as records, pytest.raises(InvalidRequestError, match="from < to"):
        top_revenue(records, "plan", at(11), at(11))
