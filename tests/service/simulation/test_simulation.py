"""What if: a month under a draft, against the invoices that there are and against sums by hand."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from support.billed import PLANS, Billed, at, open_billed, store_calls
from support.stores import store_url
from tollkeeper.billing.money import from_minor, to_minor
from tollkeeper.errors import ConfigurationError, ConflictError, InvalidRequestError, UnprocessableError
from tollkeeper.metering.meter import Meter, MeterFilter
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.catalog_file import read_catalog
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.service.simulation import comparing
from tollkeeper.service.simulation.draft import Draft, draft_of
from tollkeeper.service.simulation.simulating import simulate
from tollkeeper.settings import Settings
from tollkeeper.store.audit import AuditEntry
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.simulation.simulating import Simulation

ROUTE = """
[[route]]
api = "orders"
version = "v1"
endpoint = "/orders/{id}"
method = "GET"

[[route.price]]
price = "0.02"
currency = "EUR"

[[route.price]]
price = "0.03"
currency = "EUR"
valid_from = 2026-10-04T00:00:00Z
"""
FREE = """
[[plan]]
name = "free"
"""


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Billed]]:
    service = open_service(Settings(store=store_url(request.param, tmp_path_factory.mktemp("simulated"))))
    yield service, open_billed(service)
    service.close()


@pytest.fixture
def service(made: tuple[Service, Billed]) -> Service:
    return made[0]


def draft(text: str) -> Draft:
    return draft_of(read_catalog(text, "draft.toml"))


def by_name(found: Simulation) -> dict[str, tuple[Decimal, Decimal, str]]:
    return {row.name: (row.before, row.after, row.change) for row in found.rows}


@pytest.mark.parametrize("name", ["gold", "basic", "daily"])
def test_with_the_plan_as_it_is_nobody_pays_another_amount(service: Service, name: str) -> None:
    found = simulate(service, Draft(plan=PLANS[name]), "2026-10", subscribers_of=name)
    assert found.rows
    assert {(row.difference, row.change) for row in found.rows} == {(Decimal("0.00"), "same")}
    (total,) = found.totals
    assert total.difference == 0
    assert total.changes == {"same": found.customers}
    assert total.before == sum(row.before for row in found.rows)


def test_before_is_what_the_month_was_billed_but_for_late_calls_and_what_is_around_charges(service: Service) -> None:
    found = simulate(service, Draft(plan=PLANS["gold"]), "2026-10")
    billed = Counter[tuple[str, str]]()
    with service.catalog.reading() as records:
        for invoice in records.find(Invoice, period="2026-10"):
            statement = invoice_statement(invoice)
            for one in statement.charges:
                if one.part is not None and not statement.parts[one.part].earlier:
                    billed[invoice.customer, invoice.currency] += to_minor(one.charge.amount, invoice.currency)
    assert len(billed) == 5
    before = {(row.customer, row.currency): row.before for row in found.rows if row.before}
    assert before == {key: from_minor(net, key[1]) for key, net in billed.items()}


def test_who_pays_more_and_who_less(service: Service) -> None:
    plan = replace(PLANS["gold"], minimum=Decimal(0), fee=Decimal(90))
    found = simulate(service, Draft(plan=plan), "2026-10")
    # fee and support, and calls of the route and of the meter
    euros, yens = found.totals
    assert {row.name: (row.before, row.after, row.change) for row in found.rows if row.currency == "EUR"} == {
        "Acme": (Decimal("80.01"), Decimal("104.13"), "more"),
        "=Cell()": (Decimal("80.00"), Decimal("95.85"), "more"),
        "Bolt": (Decimal("9.00"), Decimal("112.90"), "more"),
        "Dōjō": (Decimal("0.00"), Decimal("95.00"), "new"),
        "Echo": (Decimal("62.04"), Decimal("95.13"), "more"),
    } | {"Dōjō": by_name(found)["Dōjō"]}
    assert [row.difference for row in found.rows] == sorted(
        (row.difference for row in found.rows), key=abs, reverse=True
    )
    euros, yens = found.totals
    assert euros.changes == {"more": 4, "new": 1}
    assert (yens.before, yens.after, yens.changes) == (Decimal(3000), Decimal(0), {"lost": 1})
    assert (found.customers, found.problems) == (5, [])


def test_subscribers_of_a_plan_and_single_customers(service: Service) -> None:
    found = simulate(service, draft(FREE), "2026-10", subscribers_of="gold")
    assert by_name(found).keys() == {"Acme", "=Cell()"}
    assert by_name(found)["=Cell()"] == (Decimal("80.00"), Decimal("0.25"), "less")
    one = simulate(service, draft(FREE), "2026-10", customers=["Bolt"])
    assert by_name(one) == {"Bolt": (Decimal("9.00"), Decimal("10.00"), "more")}
    assert simulate(service, draft(FREE), "2026-10", subscribers_of="gold", customers=["x1"]).rows == []
    assert simulate(service, draft(FREE), "2026-08").rows == []


def test_prices_of_routes_are_tried_out_by_their_dates(service: Service) -> None:
    found = by_name(simulate(service, draft(ROUTE), "2026-10"))
    # From 2 October on, four calls an hour: 192 before the 4th at 0.02, 608 from then on at 0.03, less 10 %.
    assert found["Bolt"] == (Decimal("9.00"), Decimal("19.87"), "more")
    assert found["Dōjō"][2] == "same"


def test_a_draft_may_count_by_a_meter_of_its_own(service: Service) -> None:
    meter = Meter(name="calls", aggregation="count", filters=(MeterFilter(field="source", one_of=("nobody",)),))
    plan = replace(PLANS["gold"], minimum=Decimal(0))
    found = by_name(simulate(service, Draft(plan=plan, meters=[meter]), "2026-10", subscribers_of="gold"))
    assert found["Acme"] == (Decimal("80.01"), Decimal("59.38"), "less")


def test_nothing_is_written_and_progress_is_told(service: Service) -> None:
    def kept() -> list[Any]:
        with service.catalog.reading() as records:
            return [records.find(kind) for kind in (AuditEntry, Invoice)]

    before, told = kept(), list[tuple[int, int]]()
    simulate(service, draft(FREE + ROUTE), "2026-10", progress=lambda *done: told.append(done))
    assert kept() == before
    assert told == [(number, 5) for number in range(1, 6)]


def test_pages_of_customers_make_no_difference(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate(service, draft(FREE), "2026-10")
    monkeypatch.setattr(comparing, "CHUNK", 2)
    assert simulate(service, draft(FREE), "2026-10") == whole


def test_long_periods_and_what_only_details_hold_are_read_apart(service: Service) -> None:
    """A draft by the year, for those whose year ends in the month, and by a field that a plain walk leaves out."""
    meter = Meter(name="calls", aggregation="sum", field="client.browser")
    plan = replace(PLANS["gold"], minimum=Decimal(0), fee=Decimal(0))
    detailed = simulate(service, Draft(plan=plan, meters=[meter]), "2026-10")
    assert by_name(detailed)["Acme"] == (Decimal("80.01"), Decimal("9.38"), "less")
    yearly = simulate(service, Draft(plan=replace(PLANS["daily"], period="year")), "2027-08")
    assert by_name(yearly)["Echo"] == (Decimal("62.00"), Decimal("2.11"), "less")


def test_what_cannot_be_charged_is_told() -> None:
    service = open_service(Settings(store="memory:"))
    shop = open_billed(service, bill=False)
    foreign = ROUTE.replace("EUR", "USD")
    store_calls(service, shop.keys["Dōjō"], at(10, 3), 1)
    found = simulate(service, draft(foreign), "2026-10", customers=["Bolt"])
    assert found.problems
    assert all(problem.startswith("Bolt: ") for problem in found.problems)


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        ("", {}, UnprocessableError),
        (FREE + FREE, {}, UnprocessableError),
        (ROUTE.replace("GET", "PUT"), {}, UnprocessableError),
        (ROUTE.replace("0.03", "-1"), {}, ConfigurationError),
        (ROUTE.replace("valid_from = 2026-10-04T00:00:00Z", ""), {}, ConflictError),
        (FREE + 'kind = "discount_amount"', {}, UnprocessableError),
        (FREE, {"subscribers_of": "nothing"}, UnprocessableError),
        (FREE, {"customers": ["nobody"]}, UnprocessableError),
        (FREE, {"month": "2026"}, InvalidRequestError),
        ("[[plan]", {}, ConfigurationError),
    ],
)
def test_what_cannot_be_tried_out_is_refused(
    service: Service, text: str, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        simulate(service, draft(text), **{"month": "2026-10"} | options)
