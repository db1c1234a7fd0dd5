"""Fees of days, weeks and years as a rate by month, on lines made for it; and answers that are remembered."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from support.billed import NOW, at
from tollkeeper.billing.plan import Plan
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.revenue import memory
from tollkeeper.service.revenue.months import revenue_by_month
from tollkeeper.service.revenue.recurring import recurring
from tollkeeper.settings import Settings
from tollkeeper.store.audit import AuditEntry
from tollkeeper.store.invoices import InvoiceLine, InvoiceSeries

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.billing.period import PeriodUnit
    from tollkeeper.service.bootstrap import Service

DAY = timedelta(days=1)


@pytest.fixture
def service() -> Service:
    return open_service(Settings(store="memory:"))


def line(service: Service, name: str, start: datetime, net: int, plan: str | None = None, **facts: Any) -> None:
    given: dict[str, Any] = {"kind": "base_fee", "state": "paid", "currency": "EUR", "subscription": f"sub_{name}"}
    with service.catalog.writing() as records:
        count = len(records.find(InvoiceLine))
        records.add(
            InvoiceLine(
                id=f"inl_{count:04}",
                invoice="inv",
                n=count + 1,
                customer=name,
                plan=plan,
                name="x",
                net=net,
                at=start,
                **given | facts,
            )
        )


def plan(service: Service, period: PeriodUnit) -> str:
    with service.catalog.writing() as records:
        records.add(Plan(id=f"pln_{period}", name=period, period=period, created_at=NOW))
    return f"pln_{period}"


def amounts(service: Service, start: datetime, end: datetime) -> dict[str, Decimal]:
    with service.catalog.reading() as records:
        return {one.month: one.amount for one in recurring(records, start, end)}


def test_a_year_counts_a_twelfth_in_each_of_its_months(service: Service) -> None:
    yearly = plan(service, "year")
    line(service, "ann", at(3, 20), 120_01, yearly)
    found = amounts(service, at(1), at(6).replace(year=2027))
    assert list(found) == [*(f"2026-{month:02}" for month in range(3, 13)), "2027-01", "2027-02", "2027-03"]
    assert {found[month] for month in list(found)[:-1]} == {Decimal("10.00")}
    assert found["2027-03"] == Decimal("0.00")  # the month in which it churned
    assert amounts(service, at(11), at(12)) == {"2026-11": Decimal("10.00")}


def test_weeks_and_days_are_brought_to_a_month(service: Service) -> None:
    weekly, daily = plan(service, "week"), plan(service, "day")
    for week in range(5):
        line(service, "wes", at(9) + 7 * week * DAY, 7_00, weekly)
    for day in range(10):
        line(service, "dan", at(9, 5) + day * DAY, 1_00, daily)
        line(service, "dan", at(9, 5) + day * DAY, 50, daily, kind="minimum")
    with service.catalog.reading() as records:
        (found,) = recurring(records, at(9), at(10))
    # 1 a day, and 1.50 a day, for 365 / 12 days
    assert (found.amount, found.customers) == (Decimal("76.04"), 2)


def test_what_is_void_is_used_or_is_not_above_zero_does_not_recur(service: Service) -> None:
    monthly = plan(service, "month")
    line(service, "ann", at(9), 10_00, monthly)
    line(service, "ann", at(9), 5_00, monthly, kind="usage")
    line(service, "bob", at(9), 10_00, monthly, state="void")
    line(service, "cat", at(9), 10_00, monthly)
    line(service, "cat", at(9), -10_00, monthly)
    line(service, "dan", at(9), 3_00, state="draft")
    line(service, "ann", at(10), 4_00, monthly)
    line(service, "dan", at(10), 3_00)
    with service.catalog.reading() as records:
        september, october, november = recurring(records, at(9), at(12))
    assert (september.amount, september.customers) == (Decimal("13.00"), 2)
    assert (october.contraction.customers, october.contraction.amount) == (1, Decimal("6.00"))
    assert october.net_retention == round(7 / 13, 4)
    assert (november.churned.customers, november.churned.amount) == (2, Decimal("7.00"))
    assert (november.net_retention, november.customers) == (0, 0)


def test_answers_are_remembered_until_something_is_drafted_issued_or_changed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def charged() -> int:
        (found,) = service.revenue.answer(revenue_by_month, at(9), at(10))
        return int(found.charged)

    def set_to(euros: int) -> None:
        """Change the amount without a trace."""
        with service.catalog.writing() as records:
            (first, *_) = records.find(InvoiceLine)
            records.replace(replace(first, net=100 * euros))

    line(service, "ann", at(9), 1_00)
    assert charged() == 1
    set_to(2)
    assert charged() == 1
    line(service, "ann", at(9), 0, state="draft")
    assert charged() == 2
    set_to(3)
    with service.catalog.writing() as records:
        records.add(InvoiceSeries(id="ser", name="invoices INV-", prefix="INV-", next=2, at=NOW, created_at=NOW))
    assert charged() == 3
    set_to(4)
    with service.catalog.writing() as records:
        records.add(
            AuditEntry(
                id="aud", at=NOW, actor="ann", action="update", kind="invoice", record="inv", before=None, after=None
            )
        )
    assert charged() == 4
    set_to(5)
    later = time.monotonic() + memory.SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert charged() == 5


def test_no_more_than_some_answers_are_kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_ANSWERS", 2)
    asked: list[int] = []

    def question(_records: object, number: int) -> int:
        asked.append(number)
        return number

    for number in (1, 2, 1, 3, 3, 2, 1):
        assert service.revenue.answer(question, number) == number
    assert asked == [1, 2, 3, 1]
