"""Invoices at the terminal."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from typer.testing import CliRunner

from support.billing_shop import BillingShop, at
from tollkeeper.cli import invoice_run
from tollkeeper.cli.main import app
from tollkeeper.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[BillingShop]:
    """Two customers who called in September 2025, on SQLite."""
    shop = BillingShop(f"sqlite:///{tmp_path}/t.db")
    shop.now = at("2025-09-01")
    for name in ("acme", "beta"):
        shop.customer(name, currency="EUR")
        shop.call(name, at("2025-09-10"), 3)
    yield shop
    shop.close()


def run(shop: BillingShop, *arguments: str, status: int = 0) -> str:
    """What ``tollkeeper invoices`` prints."""
    result = CliRunner().invoke(app, ["invoices", *arguments, "--store", shop.service.settings.store])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def test_a_month_is_run_and_summed_up(shop: BillingShop) -> None:
    shop.plan("dollars", currency="USD", fee="5")
    shop.customer("mixed", plan="dollars")
    shop.call("mixed", at("2025-09-10"), 1)
    drafts = run(shop, "run", "--period", "2025-09", "--draft-only", "--customer", "acme", "--customer", "beta")
    assert [line.split() for line in drafts.splitlines()] == [
        ["Invoices", "2025-09"],
        ["Drafts", "2"],
        ["Finalized", "0"],
        ["Unchanged", "0"],
        ["Nothing", "to", "pay", "0"],
        ["Total", "EUR", "0.06"],
    ]
    done = run(shop, "run", "--period", "2025-09")
    assert "Finalized             3" in done
    assert "Total USD          5.00" in done
    assert f"1 problems:\n  {shop.customers['mixed']} (mixed): " in done
    (fee,) = shop.invoices("mixed")
    assert "1  Base fee  2025-09-01 to 2025-10-01" in run(shop, "show", fee.id)
    again = json.loads(run(shop, "run", "--period", "2025-09", "--json"))
    assert (again["finalized"], again["unchanged"], again["totals"]) == (0, 3, {})
    with pytest.raises(NotFoundError, match="'nobody'"):
        run(shop, "run", "--period", "2025-09", "--customer", "nobody")


def test_progress_is_drawn_on_a_terminal_and_told_elsewhere(shop: BillingShop, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        invoice_run, "Console", lambda **_: Console(file=screen, force_terminal=True, width=100, highlight=False)
    )
    run(shop, "run", "--period", "2025-09", "--draft-only")
    assert "2/2" in screen.getvalue()

    told = io.StringIO()
    monkeypatch.setattr(invoice_run, "Console", lambda **_: Console(file=told, width=100, highlight=False))
    run(shop, "run", "--period", "2025-09", "--draft-only")
    assert told.getvalue() == ""
    monkeypatch.setattr(invoice_run, "QUIET_SECONDS", 0.0)
    run(shop, "run", "--period", "2025-09", "--draft-only")
    assert told.getvalue() == "2 of 2 customers\n"


def test_invoices_are_listed_shown_and_changed(shop: BillingShop) -> None:
    assert "'tollkeeper invoices run'" in run(shop, "list")
    assert "'tollkeeper invoices credit'" in run(shop, "credit-notes")
    run(shop, "run", "--period", "2025-09", "--draft-only")
    (draft,) = shop.invoices("acme")
    assert run(shop, "finalize", draft.id) == "INV-000001 0.03 EUR, 0.03 due.\n"
    assert [one["number"] for one in json.loads(run(shop, "list", "--state", "finalized", "--json"))] == ["INV-000001"]
    assert len(run(shop, "list", "--period", "2025-09", "--customer", "beta").splitlines()) == 2
    assert f"There are more: --after {draft.id} shows them." in run(shop, "list", "--limit", "1")
    assert len(run(shop, "list", "--after", draft.id).splitlines()) == 2

    shown = run(shop, "show", "INV-000001")
    assert shown.startswith("INV-000001 for acme, finalized, 2025-09-01 to 2025-10-01, EUR\n")
    assert "1  GET /maps  2025-09-01 to 2025-10-01         3    0.03      0.00  0.03" in shown
    assert json.loads(run(shop, "show", draft.id, "--json"))["number"] == "INV-000001"

    assert run(shop, "credit", "INV-000001", "--line", "1=0.01", "--reason", "Sorry") == (
        "CN-000001 gives back 0.01 EUR.\n"
    )
    assert run(shop, "credit-notes", "INV-000001").splitlines()[1].split()[1] == "CN-000001"
    assert len(json.loads(run(shop, "credit-notes", "--json"))) == 1
    assert run(shop, "pay", "INV-000001") == "INV-000001 is paid.\n"
    assert run(shop, "credit", "INV-000001") == "CN-000002 gives back 0.02 EUR.\n"

    (other,) = shop.invoices("beta")
    assert run(shop, "void", other.id) == "The draft is gone.\n"
    run(shop, "run", "--period", "2025-09")
    assert run(shop, "void", "INV-000002") == "INV-000002 is void.\n"
    with pytest.raises(NotFoundError, match="'tollkeeper invoices list'"):
        run(shop, "show", "INV-000009")


def test_an_invoice_by_hand(shop: BillingShop) -> None:
    shop.profile("acme", taxes={"rates": [{"name": "VAT", "percent": "20"}]})
    shop.wallet("acme", "1.50")
    made = run(shop, "add", "acme", "--line", "Set-up=100", "--line", "a=b=-10.50").strip()
    assert "Draft for acme, draft" in run(shop, "show", made)
    assert run(shop, "finalize", made) == "INV-000001 107.40 EUR, 105.90 due.\n"
    shown = run(shop, "show", made).splitlines()
    assert "2  a=b" in shown[3]
    assert [line.split() for line in shown[4:]] == [
        ["Net", "89.50"],
        ["VAT", "20", "%", "17.90"],
        ["Total", "107.40"],
        ["Paid", "from", "credit", "-1.50"],
        ["Due", "105.90"],
    ]
    assert run(shop, "lines", made, "1") == "The line charges no events.\n"
    assert "both sides of =" in run(shop, "add", "acme", "--line", "Set-up", status=2)


def test_the_events_of_a_line(shop: BillingShop) -> None:
    run(shop, "run", "--period", "2025-09", "--customer", "acme")
    page = run(shop, "lines", "INV-000001", "1", "--limit", "2").splitlines()
    assert page[0].split() == ["Seq", "Time", "(UTC)", "Method", "Route", "Status", "Units"]
    assert page[1].split()[1:] == ["2025-09-10", "00:00:00.000000", "GET", "/maps", "200", "1"]
    cursor = page[3].split()[4]
    rest = CliRunner().invoke(
        app,
        ["invoices", "lines", "INV-000001", "1", "--after", cursor, "--json", "--store", shop.service.settings.store],
    )
    assert [one["event"]["time"] for one in json.loads(rest.output)] == ["2025-09-10T00:00:02Z"]
