"""``tollkeeper reconcile --period``: what was billed is proved, in a table and as JSON, with an exit code."""

from __future__ import annotations

import io
import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from rich.console import Console
from typer.testing import CliRunner

from support.billing_shop import BillingShop, at
from support.stores import store_url
from tollkeeper.cli import reconcile
from tollkeeper.cli.main import app
from tollkeeper.errors import InvalidRequestError
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.proof import period
from tollkeeper.settings import Settings
from tollkeeper.store.invoices import Invoice

if TYPE_CHECKING:
    from typer.testing import Result

runner = CliRunner()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with two invoices of September and one of October."""
    url = store_url("sqlite", tmp_path_factory.mktemp("billed"))
    with closing(BillingShop(url)) as shop:
        for name in ("Acme", "Bolt"):
            shop.customer(name)
            shop.call(name, at("2026-09-02"), 600)
        shop.call("Bolt", at("2026-10-02"), 30)
        shop.call("nobody", at("2026-09-02"), 5, key="unknown")
        for month in ("2026-09", "2026-10"):
            shop.run(month, at("2026-11-10"))
    return url


def run(url: str, *arguments: str) -> Result:
    return runner.invoke(app, ["reconcile", "--store", url, *arguments])


def test_a_month_is_proved(url: str) -> None:
    result = run(url, "--period", "2026-09")
    lines = [line.split() for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    assert ["Month", "Stored", "Billed", "Free", "Unresolved", "Not", "invoiced", "Invoices", "Lines"] in lines
    assert ["2026-09", "1,205", "1,200", "0", "5", "0", "2", "2"] in lines
    assert "2026-09 is proved: each line follows from its events, to the cent." in result.stdout
    assert "The books balance" in result.stdout


def test_json_has_the_proof_beside_the_books(url: str) -> None:
    result = json.loads(run(url, "--period", "2026-10", "--json").stdout)

    assert (result["books"][0]["source"], result["problems"]) == ("maps", [])
    assert result["period"] == {
        "period": "2026-10",
        "stored": 30,
        "billed": 30,
        "free": 0,
        "unresolved": 0,
        "not_invoiced": 0,
        "invoices": 1,
        "lines": 1,
        "problems": [],
    }
    assert "period" not in json.loads(run(url, "--json").stdout)


def test_what_does_not_agree_is_named_and_the_command_fails(url: str) -> None:
    with closing(open_service(Settings(store=url))) as service, service.catalog.writing() as records:
        invoice = records.find(Invoice, number="INV-000002")[0]
        records.replace(replace(invoice, due=invoice.due + 1))
    result = run(url, "--period", "2026-09")

    assert result.exit_code == 1
    assert "INV-000002: the due is " in result.stderr
    assert "is proved" not in result.stdout
    assert run(url, "--period", "2026-09", "--json").exit_code == 1
    assert run(url).exit_code == 0


def test_a_month_that_is_none_is_refused(url: str) -> None:
    assert isinstance(run(url, "--period", "2026-13").exception, InvalidRequestError)


def test_a_terminal_shows_how_far_it_is(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(period, "STEP", 100)
    monkeypatch.setattr(reconcile, "Console", lambda **_: Console(file=shown, force_terminal=True))
    run(url, "--period", "2026-10")

    assert "events" in shown.getvalue()
