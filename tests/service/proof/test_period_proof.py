"""A month is proved by its raw events: each has one fate, and whatever was changed in an invoice is found and named."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from support.billing_shop import BillingShop, at
from support.stores import run_sql, store_url
from support.usage import make_event
from tollkeeper.billing.models.graduated import Graduated
from tollkeeper.billing.models.per_unit import PerUnit
from tollkeeper.billing.models.tiers import Tier
from tollkeeper.billing.packing import pack, unpack
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.rate_card import CardPrice
from tollkeeper.billing.statement import Statement
from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.ids import record_id
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.service.audit import editing
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.invoicing.by_hand import NewInvoice, NewLine, draft_by_hand, finalize_invoice
from tollkeeper.service.invoicing.crediting import CreditedLine, NewCreditNote, issue_credit_note
from tollkeeper.service.invoicing.paying import pay_invoice
from tollkeeper.service.proof import cases, numbers
from tollkeeper.service.proof import period as period_module
from tollkeeper.service.proof.numbers import check_numbers
from tollkeeper.service.proof.period import PeriodProof, prove_period
from tollkeeper.service.rollups import fold_all
from tollkeeper.settings import Settings
from tollkeeper.store.invoices import Invoice, InvoiceLine, InvoiceSeries, IssuedCreditNote
from tollkeeper.store.selling import BillingProfile, CustomerCoupon, CustomerWallet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tollkeeper.store.protocols import Records


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[BillingShop]:
    with closing(BillingShop(store_url("sqlite", tmp_path))) as shop:
        yield shop


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a shop that billed its September and its October, with all that invoices have."""
    folder = tmp_path_factory.mktemp("billed")
    tiers = (Tier(up_to=Decimal(100), unit_price=Decimal("0.03")), Tier(unit_price=Decimal("0.017")))
    with closing(BillingShop(store_url("sqlite", folder))) as shop:
        with shop.edit() as edit:
            body = {"name": "calls", "aggregation": "count"}
            edit.add(MeterDefinition(id=record_id("mtr"), name="calls", body=body, created_at=edit.now))
        rows = (PriceRow(price=Graduated(tiers=tiers)),)
        shop.plan(
            "gold", currency="EUR", fee="50", minimum="80", prices=[CardPrice(name="Calls", meter="calls", rows=rows)]
        )
        acme = shop.customer("Acme", "gold")
        shop.customer("Bolt")
        with shop.edit() as edit:
            taxes = {"rates": [{"name": "VAT", "percent": "19"}]}
            edit.add(BillingProfile(id=record_id("bil"), customer=acme, taxes=taxes, created_at=edit.now))
            edit.add(
                CustomerCoupon(
                    id=record_id("cpn"),
                    customer=acme,
                    name="HELLO",
                    percent=Decimal(15),
                    invoices_left=1,
                    created_at=edit.now,
                )
            )
        for month, bolts in (("2026-09", 70), ("2026-10", 80)):
            shop.call("Acme", at(f"{month}-02"), 200)
            shop.call("Bolt", at(f"{month}-03"), bolts)
        for month in ("2026-09", "2026-10"):
            shop.now = at("2026-11-10")
            shop.run(month)
        shop.call("Acme", at("2026-11-02"), 5)
        shop.run("2026-11", finalize=False)
        fold_all(shop.service.events)
    return folder / "store.db"


@pytest.fixture
def url(billed: Path, tmp_path: Path) -> str:
    """A copy of it."""
    shutil.copy(billed, tmp_path / "copy.db")
    return f"sqlite:///{tmp_path}/copy.db"


def prove(shop: BillingShop, month: str = "2026-09") -> PeriodProof:
    return prove_period(shop.service, month)


def fates(proof: PeriodProof) -> tuple[int, int, int, int]:
    assert proof.stored == proof.billed + proof.free + proof.unresolved + proof.not_invoiced
    return proof.billed, proof.free, proof.unresolved, proof.not_invoiced


def test_months_of_real_invoices_are_proved(url: str) -> None:
    with closing(open_service(Settings(store=url))) as service:
        september, october, november = (prove_period(service, f"2026-{month:02}") for month in (9, 10, 11))

    assert september.problems == october.problems == november.problems == []
    assert fates(september) == (270, 0, 0, 0)
    assert fates(october) == (280, 0, 0, 0)
    assert fates(november) == (0, 0, 0, 5)
    assert (september.invoices, october.invoices, november.invoices) == (2, 2, 0)
    assert october.lines == 5


def test_what_was_given_back_is_not_due(url: str) -> None:
    with closing(open_service(Settings(store=url))) as service:
        with editing(service.catalog, "ann") as edit:
            bolts, acmes = edit.records.find(Invoice, number=["INV-000002", "INV-000001"])[::-1]
            some = NewCreditNote(lines=[CreditedLine(n=1, amount=Decimal("0.30"))])
            for _ in range(2):
                issue_credit_note(edit, service.settings, bolts.id, some)
            pay_invoice(edit, acmes.id)
            issue_credit_note(edit, service.settings, acmes.id, some)
        assert prove_period(service, "2026-09").problems == []
        assert prove_period(service, "2026-10").problems == []
        with service.catalog.writing() as records:
            (note,) = records.find(IssuedCreditNote, invoice=acmes.id)
            records.remove(records.find(CustomerWallet, name=note.number)[0])
        (problem,) = prove_period(service, "2026-09").problems
        assert problem.startswith("INV-000001: the due is ")


def test_an_empty_month_is_proved_and_what_is_no_month_is_refused(shop: BillingShop) -> None:
    assert prove(shop, "2020-02") == PeriodProof(
        period="2020-02",
        stored=0,
        billed=0,
        free=0,
        unresolved=0,
        not_invoiced=0,
        invoices=0,
        lines=0,
        problems=[],
    )
    with pytest.raises(InvalidRequestError):
        prove(shop, "2026-13")


def test_what_comes_late_waits_for_the_next_invoice(shop: BillingShop) -> None:
    shop.customer("Acme")
    shop.call("Acme", at("2026-09-03"), 5)
    assert fates(prove(shop)) == (0, 0, 0, 5)
    shop.now = at("2026-10-02")
    shop.run("2026-09", finalize=False)
    assert fates(prove(shop)) == (0, 0, 0, 5)
    shop.now = at("2026-10-20")
    shop.run("2026-09")
    assert fates(prove(shop)) == (5, 0, 0, 0)

    shop.call("Acme", at("2026-09-04"), 2)
    shop.call("Acme", at("2026-09-05"), 3, route="/unknown")
    assert fates(prove(shop)) == (5, 0, 3, 2)
    shop.now = at("2026-11-20")
    shop.run("2026-10")
    assert fates(prove(shop)) == (7, 0, 3, 0)
    october = prove(shop, "2026-10")
    assert (october.invoices, october.stored, october.problems) == (1, 0, [])


def test_calls_that_cost_nothing_are_free_and_those_of_nobody_unresolved(shop: BillingShop) -> None:
    shop.plan("try", trial_days=10)
    shop.customer("Acme", "try")
    shop.customer("Bolt", None)
    shop.call("Acme", at("2026-09-05"), 3)
    shop.call("Acme", at("2026-09-15"), 4)
    shop.call("Acme", at("2026-09-16"), 2, route="/unknown", path="/unknown")
    shop.call("Acme", at("2026-08-31"), 9)
    shop.call("Bolt", at("2026-09-16"), 5)
    shop.call("nobody", at("2026-09-16"), 6, key="tk_unknown")
    unnamed = [make_event(f"{number}", time=at("2026-09-17"), consumer=None) for number in range(7)]
    shop.service.events.append([("maps", DecodedBatch(7, unnamed, []))])
    shop.price("0", at("2026-09-20"))
    shop.call("Acme", at("2026-09-20"), 8)
    assert fates(prove(shop)) == (0, 3 + 8, 2 + 5 + 6 + 7, 4)

    shop.now = at("2026-11-20")
    shop.run("2026-10")  # the first period begins where the trial ends
    proof = prove(shop)
    assert fates(proof) == (4, 3 + 8, 2 + 5 + 6 + 7, 0)
    assert proof.problems == []


def test_a_price_in_another_currency_is_named(shop: BillingShop) -> None:
    shop.plan("dollars", currency="USD", fee="5")
    shop.customer("Acme", "dollars")
    shop.call("Acme", at("2026-09-03"), 3)
    shop.now = at("2026-10-20")
    shop.run("2026-09")

    proof = prove(shop)
    assert fates(proof) == (0, 0, 0, 3)
    (problem,) = proof.problems
    assert problem.startswith("3 calls of GET /maps are priced in EUR and not billed, for the subscription sub_")


def test_what_a_meter_of_the_plan_counts_is_billed_by_it_and_details_are_read_where_it_needs_them(
    shop: BillingShop,
) -> None:
    body = {
        "name": "large",
        "aggregation": "count",
        "filters": [{"field": "variables.size", "one_of": ["large"]}],
    }
    with shop.edit() as edit:
        edit.add(MeterDefinition(id=record_id("mtr"), name="large", body=body, created_at=edit.now))
    row = PriceRow(price=PerUnit(unit_price=Decimal("0.5")))
    shop.plan("metered", currency="EUR", prices=[CardPrice(name="Large", meter="large", rows=(row,))])
    shop.customer("Acme", "metered")
    shop.call("Acme", at("2026-09-03"), 2, route="/other", variables=Raw(b'{"size":"large"}'))
    shop.call("Acme", at("2026-09-04"), 3, route="/other", variables=Raw(b'{"size":"small"}'))
    assert fates(prove(shop)) == (0, 3, 0, 2)

    shop.now = at("2026-10-20")
    shop.run("2026-09")
    proof = prove(shop)
    assert (fates(proof), proof.problems, proof.invoices) == ((2, 3, 0, 0), [], 1)


def test_invoices_that_reach_beyond_the_month_and_several_of_one_customer_are_proved(shop: BillingShop) -> None:
    shop.now = at("2026-08-15")
    shop.customer("Mid")
    shop.customer("Zone", time_zone="Pacific/Kiritimati")
    shop.plan("year", period="year", fee="100", currency="EUR")
    shop.plan("none", period="month")
    for moment in ("2026-08-20", "2026-09-10", "2026-09-20", "2026-09-30T18:00"):
        shop.call("Mid", at(moment), 2)
        shop.call("Zone", at(moment), 2)
    shop.now = at("2026-10-20")
    with shop.edit() as edit:
        for amount in ("7", "8"):
            line = NewLine(name="Help", amount=Decimal(amount))
            draft = draft_by_hand(edit, shop.service.settings, NewInvoice(customer="Mid", currency="EUR", lines=[line]))
            finalize_invoice(edit, shop.service.settings, draft.id, None)
    for month in ("2026-08", "2026-09", "2026-10"):
        shop.run(month)

    september, october = prove(shop), prove(shop, "2026-10")
    assert (september.problems, october.problems) == ([], [])
    assert september.invoices == 2
    assert (october.invoices, october.lines) == (2, 2)  # those by hand, and no call of October was billed
    assert september.stored == 12


def test_customers_are_read_some_at_a_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(period_module, "CHUNK", 1)
    monkeypatch.setattr(cases, "CHUNK", 1)
    with closing(open_service(Settings(store=url))) as service:
        proof = prove_period(service, "2026-09")
    assert (fates(proof), proof.invoices, proof.problems) == ((270, 0, 0, 0), 2, [])


def test_an_event_that_nobody_judged_is_a_problem(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(period_module, "load_accounts", lambda *_: {})
    with closing(open_service(Settings(store=url))) as service:
        assert prove_period(service, "2026-09").problems == [
            "270 events of 2026-09 are of customers, but only 0 were judged."
        ]


def test_the_seen_are_told_to_whoever_watches(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(period_module, "STEP", 100)
    seen: list[tuple[int, int]] = []
    with closing(open_service(Settings(store=url))) as service:
        prove_period(service, "2026-09", lambda done, total: seen.append((done, total)))

    assert [done for done, _ in seen] == list(range(100, 541, 100))
    assert {total for _, total in seen} == {2 * 270}


def change_document(change: Callable[[Statement], Statement], *, keep: bool = False) -> Any:
    """Put another document in the place of an invoice's, with a digest that fits unless the old one is kept."""

    def mutate(records: Records, invoice: Invoice) -> None:
        document = pack(change(unpack(invoice.document, Statement)))
        digest = invoice.digest if keep else hashlib.sha256(document).digest()
        records.replace(replace(invoice, document=document, digest=digest))

    return mutate


def with_line(statement: Statement, **values: Any) -> Statement:
    line, *rest = statement.invoice.lines
    return replace(statement, invoice=replace(statement.invoice, lines=(replace(line, **values), *rest)))


def with_part(statement: Statement, **values: Any) -> Statement:
    part, *rest = statement.parts
    return replace(statement, parts=(replace(part, **values), *rest))


def on_row(**values: Any) -> Any:
    def mutate(records: Records, invoice: Invoice) -> None:
        row = records.find(InvoiceLine, invoice=invoice.id)[0]
        records.replace(replace(row, **values))

    return mutate


def drop_row(records: Records, invoice: Invoice) -> None:
    records.remove(records.find(InvoiceLine, invoice=invoice.id)[-1])


def add_row(records: Records, invoice: Invoice) -> None:
    row = records.find(InvoiceLine, invoice=invoice.id)[0]
    records.add(replace(row, id="inl_zzz", n=99))


@pytest.mark.parametrize(
    ("mutate", "said"),
    [
        (change_document(lambda one: one, keep=True), None),
        (change_document(lambda one: replace(one, language="de"), keep=True), ["the document is not the one"]),
        (
            lambda records, one: records.replace(replace(one, document=b"torn")),
            ["the document is not the one", "the document cannot be read"],
        ),
        (
            lambda records, one: records.replace(replace(one, total=one.total + 1)),
            ["the total is 81.92 EUR, but the document says 80.92 EUR"],
        ),
        (
            lambda records, one: records.replace(replace(one, currency="USD")),
            ["the currency is USD, but the document says EUR", *(f"line {n}" for n in range(1, 5))],
        ),
        (on_row(net=7), ["line 1 (base_fee): its row has 7 minor units, but the document says 4250"]),
        (on_row(state="void"), ["line 1 (base_fee): its row says something else"]),
        (drop_row, ["its row is missing"]),
        (add_row, ["line 99: there is a row, but no such line"]),
        (
            change_document(lambda one: with_line(one, amount=Decimal("60.00"))),
            ["line 1 (base_fee): it says 60.00 EUR, but the events make 50.00 EUR"],
        ),
        (
            change_document(lambda one: with_line(one, net=Decimal("60.00"))),
            ["its row has 4250 minor units", "line 1 (base_fee): it says 60.00 EUR, but the events make 42.50 EUR"],
        ),
        (
            change_document(lambda one: with_line(one, taxes=())),
            ["line 1 (base_fee): it differs in taxes from what the events make"],
        ),
        (
            change_document(lambda one: with_line(one, name="Gift")),
            ["its row says something else", "but the events make no such line", "which no line says"],
        ),
        (
            change_document(lambda one: replace(one, invoice=replace(one.invoice, tax=Decimal("0.00")))),
            ["the tax is", "the tax is 0.00 EUR, but its lines make"],
        ),
        (
            change_document(lambda one: with_part(one, left=Decimal(3))),
            ["its grounds (coupons, taxes, wallets, shares)"],
        ),
        (
            change_document(lambda one: replace(one, terms=replace(one.terms, taxes=one.terms.taxes * 2))),
            ["it cannot be worked out from its document"],
        ),
    ],
)  # fmt: skip
def test_whatever_is_changed_in_an_invoice_is_named(url: str, mutate: Any, said: list[str] | None) -> None:
    with closing(open_service(Settings(store=url))) as service:
        with service.catalog.writing() as records:
            invoice = records.find(Invoice, number="INV-000001")[0]
            mutate(records, invoice)
        problems = prove_period(service, "2026-09").problems

    assert len(problems) == len(said or [])
    for problem, part in zip(problems, said or [], strict=True):
        assert problem.startswith(invoice.number or "")
        assert part in problem


def test_an_event_that_was_changed_or_is_gone_makes_another_amount(url: str) -> None:
    run_sql(url, "UPDATE event SET units = 2000000 WHERE seq = 3")
    with closing(open_service(Settings(store=url))) as service:
        assert prove_period(service, "2026-09").problems[0] == (
            "INV-000001, line 2 (GET /maps): it says 2.00 EUR, but the events make 2.01 EUR."
        )

    run_sql(url, "DELETE FROM event WHERE seq > 100 AND seq <= 250")
    with closing(open_service(Settings(store=url))) as service:
        proof = prove_period(service, "2026-09")
    assert proof.problems[0] == "The roll-ups count 270 events in 2026-09, but 120 are present."
    assert "INV-000002, line 1 (GET /maps): it says 0.70 EUR, but the events make 0.20 EUR." in proof.problems


def test_numbers_have_no_gap(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "SHOWN", 2)
    with closing(open_service(Settings(store=url))) as service:
        with service.catalog.writing() as records:
            assert list(check_numbers(records)) == []
            for invoice in records.find(Invoice, number=["INV-000002", "INV-000003", "INV-000004"]):
                records.replace(replace(invoice, number=f"X{invoice.number}"))
            invoice = records.find(Invoice, number="INV-000001")[0]
            now = invoice.created_at
            for number in (1, 2):
                note = IssuedCreditNote(
                    id=f"crn_{number}",
                    invoice=invoice.id,
                    customer=invoice.customer,
                    number=f"CN-00000{number}",
                    currency="EUR",
                    net=Decimal(1),
                    tax=Decimal(0),
                    total=Decimal(1),
                    document=b"",
                    at=now,
                    created_at=now,
                )
                records.add(note)
            records.add(
                InvoiceSeries(id="ser_9", name="credit notes CN-", prefix="CN-", next=4, at=now, created_at=now)
            )
        with service.catalog.reading() as records:
            assert list(check_numbers(records)) == [
                "The invoices of the series 'INV-' lack INV-000002, INV-000003 and 1 more.",
                "The credit notes of the series 'CN-' lack CN-000003.",
                "No series of invoices gave the numbers XINV-000002, XINV-000003 and 1 more.",
            ]
        assert len(prove_period(service, "2026-11").problems) == 3
