"""Invoices on the pages: the list, an invoice with its lines, the calls of a line, and what can be done with one."""

from __future__ import annotations

import csv
import html
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from support.billing_shop import BillingShop, at
from support.markup import forms, part, rows
from support.money_shop import MoneyShop, month_before, open_money_shop
from support.quotas import LONG
from support.shop import EVIL
from tollkeeper.events.ids import record_id
from tollkeeper.service.audit import editing
from tollkeeper.store.invoices import Invoice, InvoiceEmail, IssuedCreditNote
from tollkeeper.store.selling import InvoiceItem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

    Client = TestClient[Litestar]

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
CALLS = 7


@pytest.fixture
def shop() -> Iterator[BillingShop]:
    """A shop whose service the pages show."""
    shop = BillingShop("memory:")
    yield shop
    shop.close()


@pytest.fixture
def service(shop: BillingShop) -> Service:
    return shop.service


@pytest.fixture
def money(service: Service) -> MoneyShop:
    return open_money_shop(service)


def bill(shop: BillingShop, *, finalize: bool = True) -> Invoice:
    """Bill September of a customer with some calls and a fee."""
    shop.plan("gold", currency="EUR", fee="20")
    shop.customer("acme", plan="gold", email="ap@acme.example")
    shop.call("acme", at("2026-09-10"), CALLS)
    shop.call("acme", at("2026-09-11"), 1, status_code=404)
    report = shop.run("2026-09", at("2026-10-10"), finalize=finalize)
    assert report.problems == []
    (invoice,) = shop.invoices("acme")
    return invoice


def plain(text: str) -> str:
    """The words of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_invoices_are_listed_the_newest_first(client: Client, money: MoneyShop) -> None:
    text = client.get("/invoices").text
    found = rows(text)
    assert len(found) == 36
    month, name = month_before(datetime.now(UTC), 0), "Österreichische"
    assert found[0][0].startswith("Draft")
    assert found[0][1].startswith(name)
    assert found[0][2:4] == [f"{month:%b %Y}", "draft"]
    assert found[0][6:] == [NONE, NONE]
    assert [row[3] for row in found if row[1] == "Globex"] == [
        *("draft", "overdue", "overdue", "void", "paid", "paid", "paid", "paid", "paid")
    ]
    yen = next(row for row in found if row[1] == "Hooli K.K." and row[3] == "overdue")
    assert re.fullmatch(r"10,\d{3} JPY", yen[4])
    assert yen[4] == yen[5]
    assert next(row for row in found if row[3] == "paid")[5] == NONE
    assert f"/customers/{money.customers['Globex']}#billing" in text


def test_invoices_can_be_narrowed(client: Client, money: MoneyShop) -> None:
    text = client.get("/invoices?state=draft").text
    assert len(rows(text)) == 4
    assert "Remove the filter state" in text
    drafts = client.get("/invoices", params={"state": "draft", "customer": "m0"}).text
    assert [row[1] for row in rows(drafts)] == ["Acme Ltd"]
    assert f"state=draft&amp;customer={money.customers['Acme Ltd']}" not in drafts
    month = client.get("/invoices", params={"month": money.month, "customer": LONG}).text
    assert [row[1] for row in rows(month)] == [LONG]
    assert f"<b>Month</b><span>{month_before(datetime.now(UTC), 1):%B %Y}</span>" in month
    assert "No invoice matches" in client.get("/invoices?customer=nobody").text
    assert "No invoice further back" in client.get("/invoices?after=0").text
    for query in ("state=x", "month=2026-13", "month=x"):
        assert client.get(f"/invoices?{query}").status_code == 400


def test_many_invoices_come_in_pages_and_as_csv(
    client: Client, money: MoneyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.dashboard.invoices.PAGE", 9)
    monkeypatch.setattr("tollkeeper.dashboard.invoices.CSV_PAGE", 4)
    seen: list[list[str]] = []
    address: str | None = "/invoices?state=paid"
    while address:
        text = client.get(address).text
        seen += rows(text)
        found = [html.unescape(link) for link in re.findall(r'href="(/invoices\?[^"]*after=[^"]*)"', text)]
        address = found[0] if found else None
    sent = list(csv.DictReader(client.get("/invoices.csv?state=paid").text.splitlines()))
    assert [row[0] for row in seen] == [row["number"] for row in sent]
    assert len(seen) == 22
    (draft,) = csv.DictReader(client.get("/invoices.csv?state=draft&customer=Globex").text.splitlines())
    assert (draft["customer_name"], draft["number"], draft["due_at"]) == ("Globex", "", "")
    assert Decimal(draft["total"]) == Decimal(draft["net"]) + Decimal(draft["tax"])
    assert money.month


def test_without_invoices_the_next_step_is_shown(client: Client) -> None:
    text = client.get("/invoices").text
    assert "No invoice yet" in text
    assert "tollkeeper invoices run" in text


def test_an_invoice_shows_what_the_document_says(client: Client, service: Service, money: MoneyShop) -> None:
    with service.catalog.reading() as records:
        invoice = records.find(Invoice, customer=money.customers["Acme Ltd"], state="finalized")[0]
    text = client.get(f"/invoices/{invoice.id}").text
    words = plain(text)
    assert "From Forecast GmbH Am Kai 1 20457 Hamburg Germany DE123456789 To Acme Ltd 1 Road Town GB999" in words
    lines = rows(text)
    assert lines[0][:3] == ["Fee of the plan", NONE, "49.00"]
    assert lines[1][0].startswith("GET /forecasts/{id} ")
    assert "0.002 EUR each" in lines[1][0]
    assert re.fullmatch(r"Tiles 1,000 at 0\.01 EUR each [\d,]+ at 0\.004 EUR each", lines[2][0])
    assert f"/invoices/{invoice.id}/lines/2" in text
    assert f"/invoices/{invoice.id}/lines/1" not in text
    assert "One-off Line Quantity Amount Coupon Net Set-up" in words
    assert f"Coupon WELCOME {MINUS}" in words
    assert "VAT 19%" in words
    assert f"From a wallet {MINUS}37.50 Due {invoice.due:,} EUR" in words
    note = rows(part(text, "credit-notes"))[0]
    assert note[0].startswith("CN-000001")
    assert note[1] == "Two hours without service"
    assert note[3:] == [f"{MINUS}10.00 EUR", f"{MINUS}11.90 EUR"]
    assert "billing@acme.example delivered" in words
    assert invoice.digest.hex() in text
    assert forms(text) == ["/logout"]


def test_each_state_says_what_it_is(client: Client, money: MoneyShop) -> None:
    draft, void, paid, yen = (
        plain(client.get(f"/invoices/{money.invoices[key]}").text)
        for key in (("Globex", "draft"), ("Globex", "void"), ("Globex", "paid"), ("Hooli K.K.", "finalized"))
    )
    assert "A draft: it is worked out again as calls come" in draft
    assert "Void since" in void
    assert "Its number stays taken" in void
    assert "Was due" in void
    assert "Discount of the plan: GET /forecasts/{id}" in paid
    assert re.search(r"Paid [0-9.,]+ EUR", paid)
    assert re.search(r"Total (10,\d{3}) JPY Due \1 JPY", yen)
    assert client.get("/invoices/inv_0").status_code == 404


def test_the_calls_of_a_line_are_shown(client: Client, shop: BillingShop, monkeypatch: pytest.MonkeyPatch) -> None:
    invoice = bill(shop)
    text = client.get(f"/invoices/{invoice.id}").text
    address = f"/invoices/{invoice.id}/lines/2"
    assert address in text
    seen: list[list[str]] = []
    monkeypatch.setattr("tollkeeper.dashboard.invoice_lines.PAGE", 3)
    page: str | None = address
    while page:
        text = client.get(page).text
        seen += rows(text)
        following = re.search(r'href="([^"]*)">Next', text)
        page = html.unescape(following[1]) if following else None
    assert [row[0] for row in seen[:2]] == ["Sep 10, 2026, 00:00:00", "Sep 10, 2026, 00:00:01"]
    assert len(seen) == CALLS + 1
    assert seen[-1][2:] == ["GET /maps", "404", "1"]
    request = re.search(r'href="(/requests/\d+)"', text)
    assert request is not None
    assert client.get(request[1]).status_code == 200
    words = plain(client.get(address).text)
    assert "Quantity 8 Price 8 at 0.01 EUR each Amount 0.08 EUR" in words
    assert "These were all that the line charges" not in words
    assert "No call further back" in client.get(f"{address}?after=9000000000000000.9").text
    assert "This line charges no calls" in client.get(f"/invoices/{invoice.id}/lines/1").text
    assert client.get(f"/invoices/{invoice.id}/lines/9").status_code == 404
    assert client.get(f"{address}?after=x").status_code == 400


def test_late_calls_name_the_invoice_that_they_change(client: Client, shop: BillingShop) -> None:
    first = bill(shop)
    shop.call("acme", at("2026-09-12"), 3)
    shop.call("acme", at("2026-10-02"), 2)
    shop.run("2026-10", at("2026-11-10"))
    second = shop.invoices("acme")[-1]
    assert second.id != first.id
    text = client.get(f"/invoices/{second.id}").text
    assert f"What changed after {first.number}" in plain(text).replace(" :", ":")
    number = next(
        n
        for n in re.findall(r"/lines/(\d+)", text)
        if "3" in plain(client.get(f"/invoices/{second.id}/lines/{n}").text).partition("Quantity ")[2][:2]
    )
    assert len(rows(client.get(f"/invoices/{second.id}/lines/{number}").text)) == 3


def test_a_draft_is_finalized_paid_and_credited(client: Client, editor: Client, shop: BillingShop) -> None:
    draft = bill(shop, finalize=False)
    address = f"/invoices/{draft.id}"
    text = editor.get(address).text
    assert forms(text)[1:] == [f"{address}/finalize", f"{address}/void"]
    assert "it was worked out when the newest call was that of" in text
    shop.call("acme", at("2026-09-20"), 2)
    answer = editor.post(f"{address}/finalize?range=7d")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{address}?range=7d")
    text = editor.get(address).text
    assert "INV-000001" in text
    assert "20.10" in text
    assert forms(text)[1:] == [f"{address}/{verb}" for verb in ("pay", "credit", "send", "void")]
    again = editor.post(f"{address}/finalize")
    assert again.status_code == 409
    assert 'role="alert"' in again.text
    assert editor.post(f"{address}/credit", data={"line": "1", "amount": "5.5", "reason": "Sorry"}).status_code == 303
    assert "Credit notes \N{MINUS SIGN}5.50 Due 14.60 EUR" in plain(editor.get(address).text)
    assert editor.post(f"{address}/void").status_code == 409
    assert editor.post(f"{address}/pay").status_code == 303
    text = editor.get(address).text
    assert "Paid 14.60 EUR" in plain(text)
    assert forms(text)[1:] == [f"{address}/{verb}" for verb in ("credit", "send")]
    assert editor.post(f"{address}/credit", data={"line": "2", "amount": "", "reason": ""}).status_code == 303
    assert editor.post(f"{address}/credit", data={"line": "", "amount": "7"}).status_code == 303
    notes = shop.find(IssuedCreditNote)
    assert [note.net for note in notes] == [Decimal("5.50"), Decimal("0.10"), Decimal("14.50")]
    for wrong in ({"line": "9", "amount": ""}, {"line": "x"}, {"line": "1", "amount": "x"}, {"line": ""}):
        refused = editor.post(f"{address}/credit", data=wrong)
        assert refused.status_code in {409, 422}
        assert 'role="alert"' in refused.text
    assert len(shop.find(IssuedCreditNote)) == 3
    log = client.get("/audit").text
    assert f'<a href="{address}">CN-000003</a>' in log
    assert f'<a href="{address}">INV-000001</a>' in log
    assert "Void" not in plain(client.get(address).text)


def test_an_invoice_is_sent(editor: Client, shop: BillingShop) -> None:
    address = f"/invoices/{bill(shop).id}"
    assert 'value="ap@acme.example"' in editor.get(address).text
    assert editor.post(f"{address}/send", data={"address": "boss@acme.example"}).status_code == 303
    assert editor.post(f"{address}/send", data={"address": ""}).status_code == 303
    assert [one.address for one in shop.find(InvoiceEmail)] == ["boss@acme.example", "ap@acme.example"]
    assert "boss@acme.example waiting" in plain(editor.get(address).text)
    assert editor.post(f"{address}/send", data={"address": "x"}).status_code == 422


def test_a_draft_that_is_voided_is_gone(editor: Client, shop: BillingShop) -> None:
    draft = bill(shop, finalize=False)
    answer = editor.post(f"/invoices/{draft.id}/void")
    assert (answer.status_code, answer.headers["location"]) == (303, "/invoices")
    assert shop.invoices() == []
    assert editor.post(f"/invoices/{draft.id}/void").status_code == 404
    shop.run("2026-09", at("2026-10-10"))
    (invoice,) = shop.invoices("acme")
    assert editor.post(f"/invoices/{invoice.id}/void").status_code == 303
    assert "Void since" in editor.get(f"/invoices/{invoice.id}").text
    shop.run("2026-09", at("2026-10-10"))
    assert "attempt 2" in editor.get(f"/invoices/{shop.invoices()[-1].id}").text


def test_only_who_may_write_here_changes_invoices(client: Client, editor: Client, shop: BillingShop) -> None:
    invoice = bill(shop, finalize=False)
    for verb in ("finalize", "pay", "void", "credit", "send"):
        address = f"/invoices/{invoice.id}/{verb}"
        assert client.post(address, data={}).status_code == 403
        assert editor.post(address, data={}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert shop.invoices() == [invoice]


def test_documents_are_sent(client: Client, anonymous: Client, shop: BillingShop, editor: Client) -> None:
    invoice = bill(shop)
    page = client.get(f"/invoices/{invoice.id}/document.html")
    assert "INV-000001" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert page.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    file = client.get(f"/invoices/{invoice.id}/document.pdf")
    assert file.content.startswith(b"%PDF-")
    assert file.headers["content-type"] == "application/pdf"
    assert "INV-000001" in file.headers["content-disposition"]
    editor.post(f"/invoices/{invoice.id}/credit", data={"line": ""})
    (note,) = shop.find(IssuedCreditNote)
    given_back = client.get(f"/credit-notes/{note.id}/document.pdf")
    assert given_back.content.startswith(b"%PDF-")
    assert f"/credit-notes/{note.id}/document.pdf" in client.get(f"/invoices/{invoice.id}").text
    for missing in ("/invoices/inv_0/document.pdf", "/credit-notes/crn_0/document.pdf", "/invoices/x/document.html"):
        assert client.get(missing).status_code == 404
    assert anonymous is client


def test_a_customer_shows_what_is_billed(client: Client, service: Service, money: MoneyShop) -> None:
    with editing(service.catalog, "ann") as edit:
        for amount, when in (("12.50", edit.now), ("-3", month_before(edit.now, -2))):
            edit.add(
                InvoiceItem(
                    id=record_id("itm"),
                    customer=money.customers["Acme Ltd"],
                    name=EVIL,
                    amount=Decimal(amount),
                    currency="EUR",
                    at=when,
                    created_at=edit.now,
                )
            )
    text = client.get(f"/customers/{money.customers['Acme Ltd']}").text
    found = part(text, "billing")
    assert len(rows(found)) == 6
    assert f"/invoices?customer={money.customers['Acme Ltd']}" in text
    words = plain(found)
    assert "Start credit 62.50 EUR 100.00 EUR granted" in words
    assert "WELCOME 10% \N{EN DASH} 2 more invoices" in words
    assert "SORRY 25.00 EUR 4.50 EUR each invoice" in words
    assert "Invoices to Acme Limited, GB999 Taxes VAT 19% Pays within 30 days Language en" in words
    assert "12.50 EUR" in words
    assert f"{MINUS}3 EUR, from" in words
    assert "<script>alert" not in text
    other = plain(part(client.get(f"/customers/{money.customers['Hooli K.K.']}").text, "billing"))
    assert "Invoices to Hooli K.K. Taxes none Pays within as all" in other
    assert "No invoice yet" not in other


def add_item(shop: BillingShop, name: str, amount: int) -> None:
    """Put a line onto the next invoice of a customer."""
    with shop.edit() as edit:
        item = InvoiceItem(
            id=record_id("itm"),
            customer=shop.customers[name],
            name=name,
            amount=Decimal(amount),
            currency="EUR",
            at=at("2026-09-02"),
            created_at=edit.now,
        )
        edit.add(item)


def test_an_invoice_below_zero_is_credit(client: Client, shop: BillingShop) -> None:
    shop.customer("acme", plan=None)
    add_item(shop, "acme", -5)
    shop.run("2026-09", at("2026-10-10"))
    (invoice,) = shop.invoices()
    text = plain(client.get(f"/invoices/{invoice.id}").text)
    assert f"Total {MINUS}5.00 EUR Credit for later invoices 5.00 EUR" in text
    wallet = plain(part(client.get(f"/customers/{shop.customers['acme']}").text, "billing"))
    assert "5.00 EUR 5.00 EUR credit of an invoice" in wallet


def test_hostile_names_stay_text(client: Client, shop: BillingShop) -> None:
    shop.customer(EVIL, plan=None)
    add_item(shop, EVIL, 5)
    shop.run("2026-09", at("2026-10-10"))
    (invoice,) = shop.invoices()
    for address in ("/invoices", f"/invoices/{invoice.id}", f"/invoices/{invoice.id}/lines/1", "/revenue"):
        text = client.get(address).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
