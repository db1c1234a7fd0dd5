"""``tollkeeper invoices pdf``, ``html``, ``email`` and ``emails`` in the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from support.invoices import a_credit_note, a_paper, a_statement, an_invoice, fixed
from tollkeeper.billing.credit_note import credit_invoice
from tollkeeper.billing.customer import Customer
from tollkeeper.cli.main import app
from tollkeeper.errors import ConfigurationError, NotFoundError
from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 4, tzinfo=UTC)
STATEMENT = a_statement(fixed("100"))
runner = CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOLLKEEPER_STORE", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.chdir(tmp_path)
    service = open_service(load_settings())
    note = credit_invoice(STATEMENT.invoice, [], {0: Decimal(10)})
    with service.catalog.writing() as records:
        records.add(Customer(id="cus_1", name="Initech", email="ap@initech.example", created_at=NOW))
        records.add(an_invoice(STATEMENT))
        issued = a_credit_note(note, NOW)
        records.add(issued)
    service.close()
    return tmp_path


def run(*arguments: str) -> bytes:
    result = runner.invoke(app, ["invoices", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout_bytes


def test_documents_are_written(folder: Path) -> None:
    expected = a_paper(STATEMENT).pdf()
    assert run("pdf", "INV-000042") == b"Wrote INV-000042.pdf.\n"
    assert (folder / "INV-000042.pdf").read_bytes() == expected
    assert run("pdf", "inv_1", "-o", "-") == expected
    run("html", "INV-000042", "--output", "page.html")
    assert (folder / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run("pdf", "CN-000007", "--credit-note") == b"Wrote CN-000007.pdf.\n"
    assert b"CN-000007" in run("html", "CN-000007", "--credit-note", "-o", "-")


def test_what_goes_wrong_says_what_to_do() -> None:
    with pytest.raises(NotFoundError, match="There is no invoice 'INV-000043'"):
        run("pdf", "INV-000043")
    with pytest.raises(ConfigurationError, match=r"Cannot write nowhere/at\.pdf: No such file"):
        run("pdf", "INV-000042", "-o", "nowhere/at.pdf")


def test_letters_are_queued_and_listed() -> None:
    assert b"No letters." in run("emails", "INV-000042")
    assert run("email", "INV-000042").endswith(b" to ap@initech.example.\n")
    run("email", "INV-000042", "--to", "other@initech.example")
    run("email", "CN-000007", "--credit-note")
    found = json.loads(run("emails", "INV-000042", "--json"))
    assert [(one["address"], one["state"]) for one in found] == [
        ("ap@initech.example", "pending"),
        ("other@initech.example", "pending"),
    ]
    assert b"ap@initech.example" in run("emails", "CN-000007", "--credit-note")
