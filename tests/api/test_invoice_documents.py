"""Documents of invoices over HTTP."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from support.invoices import a_paper, a_statement, an_invoice, fixed
from support.running import Api, running
from tollkeeper.billing.credit_note import credit_invoice
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.packing import pack
from tollkeeper.service.documents.html import content_policy
from tollkeeper.settings import Settings
from tollkeeper.store.invoices import IssuedCreditNote

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 4, tzinfo=UTC)
STATEMENT = a_statement(fixed("100"), fixed("20"))
NOTE = credit_invoice(STATEMENT.invoice, [], {0: Decimal(10)})
ISSUED = IssuedCreditNote(
    id="cn_1",
    invoice="inv_1",
    customer="cus_1",
    number="CN-000007",
    currency="EUR",
    net=NOTE.net,
    tax=NOTE.tax,
    total=NOTE.total,
    document=pack(NOTE),
    at=NOW,
    created_at=NOW,
)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with running(Settings(store="memory:")) as api:
        with api.service.catalog.writing() as records:
            records.add(Customer(id="cus_1", name="Initech", email="ap@initech.example", created_at=NOW))
            records.add(an_invoice(STATEMENT))
            draft = replace(an_invoice(STATEMENT), id="inv_2", number=None, state="draft", attempt=2, finalized_at=None)
            records.add(draft)
            records.add(ISSUED)
        yield api


@pytest.mark.parametrize("named", ["inv_1", "INV-000042"])
def test_an_invoice_is_shown_as_html_that_may_do_nothing(api: Api, named: str) -> None:
    answer = api.read.get(f"/v1/invoices/{named}/html")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == f"{content_policy()}; frame-ancestors 'self'"
    assert "script" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == 'inline; filename="INV-000042.html"'
    assert answer.text == a_paper(STATEMENT).html()
    assert content_policy() in html.unescape(answer.text)
    assert "//" not in answer.text
    assert "url(" not in answer.text


def test_an_invoice_is_shown_as_pdf(api: Api) -> None:
    answer = api.read.get("/v1/invoices/INV-000042/pdf")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == 'inline; filename="INV-000042.pdf"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content == a_paper(STATEMENT).pdf()
    assert api.read.get("/v1/invoices/inv_2/pdf").headers["content-disposition"] == 'inline; filename="inv_2.pdf"'


@pytest.mark.parametrize("named", ["cn_1", "CN-000007"])
def test_a_credit_note_is_shown_as_pdf(api: Api, named: str) -> None:
    answer = api.read.get(f"/v1/credit-notes/{named}/pdf")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'inline; filename="CN-000007.pdf"'
    assert answer.content.startswith(b"%PDF-")


def test_what_is_not_there_is_not_found(api: Api) -> None:
    for path in ("invoices/x/html", "invoices/x/pdf", "invoices/x/emails", "credit-notes/x/pdf"):
        assert api.read.get(f"/v1/{path}").status_code == 404
    assert api.admin.post("/v1/invoices/x/email", json={}).status_code == 404
    assert api.anonymous.get("/v1/invoices/inv_1/pdf").status_code == 401


def test_an_invoice_is_sent_again_and_its_letters_are_shown(api: Api) -> None:
    assert api.read.post("/v1/invoices/inv_1/email", json={}).status_code == 403
    first = api.admin.post("/v1/invoices/INV-000042/email", json={})
    assert first.status_code == 200, first.text
    assert (first.json()["address"], first.json()["state"]) == ("ap@initech.example", "pending")
    other = api.admin.post("/v1/invoices/inv_1/email", json={"address": "other@initech.example"})
    assert other.json()["id"] != first.json()["id"]
    assert api.admin.post("/v1/invoices/inv_1/email", json={}).json()["id"] == first.json()["id"]
    shown = api.read.get("/v1/invoices/INV-000042/emails").json()["items"]
    assert [one["address"] for one in shown] == ["ap@initech.example", "other@initech.example"]
    refused = api.admin.post("/v1/invoices/inv_1/email", json={"address": "nobody"})
    assert (refused.status_code, refused.json()["code"]) == (422, "unprocessable")
    draft = api.admin.post("/v1/invoices/inv_2/email", json={})
    assert (draft.status_code, draft.json()["code"]) == (409, "conflict")
    note = api.admin.post("/v1/credit-notes/CN-000007/email", json={})
    assert (note.status_code, note.json()["subject"]) == (200, "cn_1")
