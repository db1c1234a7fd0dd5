"""The run: each customer has one invoice of a month and currency, however often it runs, and by whatever clock."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.billing_shop import BillingShop, at
from tollkeeper.billing.charging import Charging, CustomerAccount
from tollkeeper.billing.plan import Plan
from tollkeeper.billing.product import ApiRoute
from tollkeeper.billing.recomputing import recompute
from tollkeeper.billing.statement import CalledAs, ChargedPart
from tollkeeper.errors import InvalidRequestError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.exports.charges import export_charges
from tollkeeper.service.invoicing import run as run_module
from tollkeeper.service.invoicing import working
from tollkeeper.service.invoicing.changes import NewPrices
from tollkeeper.service.invoicing.line_events import list_line_events
from tollkeeper.service.invoicing.planning import plan_work
from tollkeeper.service.invoicing.preview import draft_of
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.service.invoicing.working import work_out
from tollkeeper.service.proof.period import prove_period
from tollkeeper.service.subscriptions import NewSubscription, subscribe
from tollkeeper.store.audit import AuditEntry
from tollkeeper.store.invoices import Invoice, InvoiceLine, InvoiceSeries
from tollkeeper.store.protocols import EventSpan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.invoicing.planning import Work
    from tollkeeper.service.invoicing.working import Worked

OVER = at("2026-10-05")


def recomputed(shop: BillingShop, invoice: Invoice) -> bool:
    """Whether an invoice is the same again from its statement and the raw events."""
    statement = invoice_statement(invoice)
    keys = [key for part in statement.parts for key in part.keys]
    span = EventSpan(start=0, end=to_microseconds(at("2030-01-01")), until=2**62)
    with shop.service.events.walk(span, [sorted(set(keys))]) as found:
        return recompute(statement, [stored for _, stored in found]) == statement


def test_a_month_is_drafted_until_its_days_of_grace_are_over(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.customer("idle")
    shop.call("acme", at("2026-09-10"), 100)
    first = shop.run("2026-09", at("2026-09-15"))
    (draft,) = shop.invoices()
    assert (first.made, first.finalized, first.without_lines, first.totals) == (1, 0, 1, {"EUR": Decimal("1.00")})
    assert (draft.state, draft.number, draft.total, draft.attempt) == ("draft", None, Decimal("1.00"), 1)
    assert (draft.starts_at, draft.ends_at, draft.at) == (at("2026-09-01"), at("2026-10-01"), at("2026-10-01"))

    shop.call("acme", at("2026-09-20"), 11)
    assert shop.run("2026-09", at("2026-10-02")).made == 1
    assert shop.run("2026-09", at("2026-10-02")).unchanged == 1
    (again,) = shop.invoices()
    assert (again.id, again.created_at, again.total) == (draft.id, draft.created_at, Decimal("1.11"))
    assert shop.lines(again) == [("usage", "GET /maps", 111)]

    assert shop.run("2026-09", at("2026-10-04"), finalize=False).finalized == 0
    done = shop.run("2026-09", at("2026-10-04"))
    (final,) = shop.invoices()
    assert (done.finalized, done.made, done.totals) == (1, 0, {"EUR": Decimal("1.11")})
    assert (final.state, final.number, final.total, final.due) == (
        "finalized",
        "INV-000001",
        Decimal("1.11"),
        Decimal("1.11"),
    )
    assert (final.at, final.finalized_at, final.due_at) == (at("2026-10-04"), at("2026-10-04"), at("2026-10-18"))
    (line,) = shop.find(InvoiceLine)
    assert (line.state, line.route, line.n, line.at) == ("finalized", shop.route, 1, at("2026-09-01"))
    assert line.api is not None
    assert recomputed(shop, final)

    shop.call("acme", at("2026-09-21"), 5)
    assert shop.run("2026-09", OVER).unchanged == 1
    assert shop.invoices() == [final]
    assert [entry for entry in shop.find(AuditEntry) if entry.kind.startswith("invoice")] == []


def test_numbers_have_no_gap_and_their_days_never_go_back(shop: BillingShop) -> None:
    for name in ("a", "b", "c"):
        shop.customer(name)
        shop.call(name, at("2026-09-10"), 3)
        shop.call(name, at("2026-10-10"), 3)
    shop.run("2026-09", at("2026-10-09"), customers=[shop.customers["b"]])
    shop.run("2026-09", at("2026-10-07"))
    shop.run("2026-09", at("2026-10-01T12:00"))
    assert [(one.number, one.at.day) for one in sorted(shop.invoices(), key=lambda one: one.number or "")] == [
        ("INV-000001", 9),
        ("INV-000002", 9),
        ("INV-000003", 9),
    ]
    (series,) = shop.find(InvoiceSeries)
    assert (series.next, series.at) == (4, at("2026-10-09"))

    # By a clock that was set back to before the month was over, nothing becomes final, and nothing is made anew.
    shop.run("2026-10", at("2026-10-20"))
    assert sorted(one.state for one in shop.invoices(period="2026-10")) == ["draft"] * 3
    shop.run("2026-10", at("2026-11-08"))
    assert len(shop.invoices()) == 6
    assert max(one.number or "" for one in shop.invoices()) == "INV-000006"


def test_what_can_not_be_billed_is_refused_or_told(memory: BillingShop) -> None:
    for month in ("2026-13", "october", "2026-1"):
        with pytest.raises(InvalidRequestError, match="as 2026-10"):
            memory.run(month)
    with pytest.raises(InvalidRequestError, match="has not begun"):
        memory.run("2026-11", at("2026-10-31T09:00"))
    assert memory.run("2026-11", at("2026-10-31T11:00")).made == 0

    memory.plan("dollars", currency="USD", fee="5")
    memory.customer("mixed", plan="dollars")
    memory.call("mixed", at("2026-09-10"), 2)
    report = memory.run("2026-09", OVER)
    assert report.totals == {"USD": Decimal("5.00")}
    assert len(report.problems) == 1
    assert memory.customers["mixed"] in report.problems[0]
    assert "EUR" in report.problems[0]


def test_a_price_changes_in_the_middle_of_a_period(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.price("0.05", at("2026-09-16"))
    shop.call("acme", at("2026-09-15T23:59:50"), 20)
    shop.run("2026-09", OVER)
    (invoice,) = shop.invoices()
    assert invoice.total == Decimal("0.60")
    assert recomputed(shop, invoice)


def test_a_month_is_that_of_the_customer(shop: BillingShop) -> None:
    shop.now = at("2026-08-31T10:00")
    shop.customer("east", time_zone="Pacific/Kiritimati")
    shop.call("east", at("2026-09-30T09:59:59"), 2)
    # There, the month is over ten hours earlier; the second call is in the next period.
    report = shop.run("2026-09", at("2026-10-03T10:00"))
    assert (report.finalized, report.totals) == (1, {"EUR": Decimal("0.01")})
    assert shop.run("2026-10", at("2026-10-03T10:00")).totals == {"EUR": Decimal("0.01")}


def test_fees_are_charged_whether_or_not_it_is_called(shop: BillingShop) -> None:
    shop.plan("gold", currency="EUR", fee="20", minimum="25", kind="discount_percent", amount="10")
    shop.customer("acme", plan="gold")
    shop.call("acme", at("2026-09-10"), 100)
    shop.run("2026-09", OVER)
    (invoice,) = shop.invoices()
    assert sorted(shop.lines(invoice)) == [
        ("base_fee", "base_fee", 2000),
        ("discount", "GET /maps", -10),
        ("minimum", "minimum", 410),
        ("usage", "GET /maps", 100),
    ]
    assert recomputed(shop, invoice)


def test_an_amount_off_that_is_not_used_is_carried_over(shop: BillingShop) -> None:
    shop.plan("off", kind="discount_amount", amount="2", currency="EUR", fee="1")
    shop.customer("acme", plan="off")
    shop.call("acme", at("2026-09-10"), 50)
    shop.call("acme", at("2026-10-10"), 400)
    shop.run("2026-09", OVER)
    shop.run("2026-10", at("2026-11-05"))
    first, second = shop.invoices()
    assert (first.total, second.total) == (Decimal("1.00"), Decimal("1.50"))


def test_two_currencies_are_two_invoices(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.call("acme", at("2026-09-10"), 3)
    shop.item("acme", "Set-up", "100", at("2026-09-03"), currency="USD")
    shop.coupon("acme", percent="50", invoices_left=1)
    report = shop.run("2026-09", OVER)
    assert report.totals == {"EUR": Decimal("0.01"), "USD": Decimal("100.00")}
    assert sorted(one.number or "" for one in shop.invoices()) == ["INV-000001", "INV-000002"]
    assert shop.run("2026-09", OVER).unchanged == 1


def test_only_some_customers_can_be_run(memory: BillingShop) -> None:
    for name in ("a", "b"):
        memory.customer(name)
        memory.call(name, at("2026-09-10"), 3)
    told: list[tuple[int, int]] = []
    report = memory.run("2026-09", OVER, customers=[memory.customers["b"]], progress=lambda *done: told.append(done))
    assert (report.finalized, told) == (1, [(1, 1)])
    assert [one.customer for one in memory.invoices()] == [memory.customers["b"]]


def test_a_draft_that_has_nothing_to_say_is_gone(memory: BillingShop) -> None:
    memory.customer("acme")
    item = memory.item("acme", "Set-up", "100", at("2026-09-03"))
    assert memory.run("2026-09", at("2026-09-20")).made == 1
    with memory.edit() as edit:
        edit.remove(item)
    assert memory.run("2026-09", at("2026-09-20")).without_lines == 1
    assert memory.invoices() == memory.find(InvoiceLine) == []


def test_taxes_that_contradict_stop_nobody_else(memory: BillingShop) -> None:
    for name in ("a", "b"):
        memory.customer(name)
        memory.call(name, at("2026-09-10"), 3)
    twice = {"rates": [{"name": "VAT", "percent": "19"}, {"name": "VAT", "percent": "7"}]}
    memory.profile("a", taxes=twice)
    report = memory.run("2026-09", OVER)
    assert (report.finalized, len(report.problems)) == (1, 1)
    assert "same name" in report.problems[0]


def test_whose_prices_contradict_stops_nobody_else(shop: BillingShop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Before", "Odd", "Zed"):
        shop.customer(name)
        shop.call(name, at("2026-09-05"), 3)
    assert shop.run("2026-09", at("2026-09-20")).made == 3

    class Strict(Charging):
        """Finds that the calls of one customer can't be charged."""

        def __init__(self, account: CustomerAccount, parts: Sequence[ChargedPart]) -> None:
            super().__init__(account, parts)
            if account.facts.customers[0].name == "Odd":
                raise UnprocessableError("Nothing fits: mend it.")

    monkeypatch.setattr(working, "Charging", Strict)
    report = shop.run("2026-09", at("2026-10-10"))

    assert (report.finalized, len(report.problems)) == (2, 1)
    assert "(Odd): Nothing fits: mend it." in report.problems[0]
    assert [one.state for one in shop.invoices("Odd")] == ["draft"]
    assert [shop.invoices(name)[0].total for name in ("Before", "Zed")] == [Decimal("0.03")] * 2
    with pytest.raises(UnprocessableError, match="mend it"):
        draft_of(shop.service, shop.customers["Odd"], "2026-09", at("2026-10-10"))


@pytest.mark.parametrize("price", ["0.0000000001", "1000000"])
def test_a_meter_that_reads_huge_numbers_stops_nobody(shop: BillingShop, price: str) -> None:
    meter = {"name": "bytes", "aggregation": "sum", "field": "variables.bytes"}
    with shop.edit() as edit:
        edit.add(MeterDefinition(id=record_id("mtr"), name="bytes", body=meter, created_at=edit.now))
    rows = [{"price": {"model": "per_unit", "unit_price": price}}]
    shop.plan("traffic", currency="EUR", prices=[{"name": "traffic", "meter": "bytes", "rows": rows}])
    shop.customer("acme", "traffic")
    shop.customer("bolt")
    shop.call("acme", at("2026-09-10"), variables=msgspec.Raw(b'{"bytes": 100000000000000}'))
    shop.call("bolt", at("2026-09-10"))
    report = shop.run("2026-09", OVER)
    assert [one.total for one in shop.invoices("bolt")] == [Decimal("0.01")]
    if price == "1000000":
        (problem,) = report.problems
        assert "'traffic' comes to more than an invoice can say" in problem
        assert shop.invoices("acme") == []
        return
    (invoice,) = shop.invoices("acme")
    assert (invoice.net, recomputed(shop, invoice)) == (Decimal("10000.01"), True)
    assert prove_period(shop.service, "2026-09").problems == []
    exported = export_charges(shop.service.catalog, at("2026-01-01"), at("2027-01-01"))
    place = [column.name for column in exported.columns].index("quantity")
    assert {row[place] for row in exported.rows} == {Decimal(1), Decimal(10**14)}


def test_who_is_changed_meanwhile_is_worked_out_again(memory: BillingShop, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.customer("acme")
    memory.call("acme", at("2026-09-10"), 3)
    works = work_out

    def slow(service: Service, month: str, works_to_do: Sequence[Work], until: int) -> Iterator[Worked]:
        monkeypatch.setattr(run_module, "work_out", works)
        found = list(works(service, month, works_to_do, until))
        memory.run("2026-09", OVER)  # another node was faster
        yield from found

    monkeypatch.setattr(run_module, "work_out", slow)
    report = memory.run("2026-09", OVER)
    assert (report.finalized, report.unchanged) == (0, 1)
    assert len(memory.invoices()) == 1

    memory.call("acme", at("2026-10-10"), 3)
    monkeypatch.setattr(run_module, "final_ids", lambda _, ids, *__, **___: {one: {"other"} for one in ids})
    (problem,) = memory.run("2026-10", at("2026-11-05")).problems
    assert "run it again" in problem


def test_a_preview_writes_nothing(memory: BillingShop) -> None:
    memory.customer("acme")
    memory.call("acme", at("2026-09-10"), 3)
    found = draft_of(memory.service, memory.customers["acme"], "2026-09", at("2026-09-20"))
    assert [(one.invoice.total, one.seller.name) for one in found.statements.values()] == [
        (Decimal("0.03"), "Maps Inc")
    ]
    assert memory.invoices() == []
    memory.run("2026-09", OVER)
    assert draft_of(memory.service, memory.customers["acme"], "2026-09", OVER).statements == {}


def test_parts_of_a_year_are_walked_through_apart(shop: BillingShop) -> None:
    shop.plan("yearly", currency="EUR", fee="100", period="year")
    shop.customer("long", plan="yearly")
    shop.customer("short")
    for name in ("long", "short"):
        shop.call(name, at("2026-09-10"), 3)
        shop.call(name, at("2027-08-10"), 4)
    report = shop.run("2027-08", at("2027-09-05"))
    assert report.totals == {"EUR": Decimal("100.11")}
    for invoice in shop.invoices():
        assert recomputed(shop, invoice)


def test_more_customers_than_are_read_at_once(memory: BillingShop) -> None:
    for number in range(103):
        memory.customer(f"c{number:03d}", None)
    plan = plan_work(memory.service, "2026-09", None, 0)
    assert len({work.customer for work in plan.works}) == 103
    assert memory.run("2026-09", OVER + timedelta(days=1)).without_lines == 103


def test_who_has_no_key_pays_what_calls_do_not_say(shop: BillingShop) -> None:
    shop.plan("gold", currency="EUR", fee="5")
    with shop.edit() as edit:
        made = create_customer(edit, NewCustomer(name="quiet"))
        subscribe(edit, NewSubscription(customer=made.id, plan="gold"))
    assert shop.run("2026-09", OVER).totals == {"EUR": Decimal("5.00")}
    (invoice,) = shop.invoices()
    assert list_line_events(shop.service, invoice.id, 1).items == []


def test_who_had_a_one_off_line_alone_is_billed_late_too(shop: BillingShop) -> None:
    for name in ("acme", "beta"):
        shop.customer(name)
    shop.item("acme", "Set-up", "50", at("2026-09-03"))
    shop.call("beta", at("2026-09-10"), 3)
    shop.run("2026-09", OVER)
    shop.call("acme", at("2026-09-10"), 3)
    assert shop.run("2026-10", at("2026-11-05")).totals == {"EUR": Decimal("0.03")}


def test_what_a_new_route_takes() -> None:
    start, end = at("2026-09-01"), at("2026-10-01")
    called = CalledAs(api="maps", endpoint="/maps", method="GET", route="rte_1", start=start, end=end)
    plan = Plan(id="pln_1", name="gold", created_at=start)
    part = ChargedPart(
        subscription="sub_1", plan=plan, period_start=start, period_end=end, start=start, end=end, calls=(called,)
    )

    def matters(**values: Any) -> bool:
        found: dict[str, Any] = {
            "id": "rte_2",
            "version": "ver_1",
            "endpoint": "/maps",
            "method": "GET",
            "created_at": end,
        } | values
        return NewPrices(routes=[ApiRoute(**found)], prices=[], own=[]).matter_to(part, end)

    assert [matters(), matters(endpoint=None, method=None)] == [True, True]
    assert [matters(id="rte_1"), matters(endpoint="/x"), matters(method="PUT"), matters(created_at=start)] == [
        False
    ] * 4
