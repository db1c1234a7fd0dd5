from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from support.billed import open_billed
from tollkeeper.cli.main import app
from tollkeeper.errors import ConfigurationError
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.exports.parquet import load_pyarrow
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

SPAN = ("--from", "2026-09-01", "--to", "2026-12-01")
DRAFT = '[[plan]]\nname = "flat"\ncurrency = "EUR"\nfee = "81"\n'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('revenue')}/t.db"
    service = open_service(Settings(store=url))
    open_billed(service)
    service.close()
    return url


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('empty')}/t.db"
    open_service(Settings(store=url)).close()
    return url


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def lines(*arguments: str) -> list[str]:
    return [" ".join(line.split()) for line in run(*arguments).splitlines()]


def test_months(store: str) -> None:
    shown = lines("revenue", "months", *SPAN, "--store", store)
    assert shown[0] == "Month Charged Credited Revenue"
    assert shown[-1] == "2026-11 0.00 EUR 11.21 EUR -11.21 EUR"
    assert json.loads(run("revenue", "months", *SPAN, "--json", "--store", store))[-1]["net"] == "-11.21"


def test_top(store: str) -> None:
    shown = lines("revenue", "top", "--by", "plan", "--limit", "2", *SPAN, "--store", store)
    assert [line.split()[0] for line in shown] == ["Plan", "gold", "daily", "yen"]
    assert shown[3] == "yen 6,000 JPY 100.0%"
    found = json.loads(run("revenue", "top", "--json", *SPAN, "--store", store))
    assert found[0]["name"] == "Acme"


def test_recurring(store: str) -> None:
    shown = lines("revenue", "recurring", *SPAN, "--store", store)
    assert shown[0] == "Month Recurring Customers New Expansion Contraction Churned Retention"
    assert shown[3] == "2026-10 210.86 EUR 3 79.15 (1) 11.46 (1) - - 109.5%"
    assert shown[2] == "2026-09 3,000 JPY 1 3,000 (1) - - - -"
    assert len(json.loads(run("revenue", "recurring", *SPAN, "--json", "--store", store))) == 6


def test_forecast(store: str, empty: str) -> None:
    shown = lines("revenue", "forecast", "2026-11", "--store", store)
    assert shown[0] == "Month Fees Usage so far Usage expected Expected Last month"
    assert shown[2] == "2026-11 3,500 JPY 0 JPY 0 JPY 3,500 JPY 3,000 JPY"
    assert re.fullmatch(r"From 5 drafts, worked out at \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", shown[3])
    assert json.loads(run("revenue", "forecast", "2026-11", "--json", "--store", store))["drafts"] == 5
    assert "No drafts: 'tollkeeper invoices run'" in run("revenue", "forecast", "--store", empty)


def test_times(store: str, empty: str) -> None:
    shown = lines("revenue", "times", "--store", store)
    assert shown[0] == "API Route Requests Best Average p50 p95"
    assert shown[1].startswith("orders v1 GET /orders/{id} 2,8")
    assert lines("revenue", "times", "--by", "api", *SPAN, "--store", store)[0] == "API Requests Best Average p50 p95"
    assert json.loads(run("revenue", "times", "--json", "--store", store))[0]["api"] == "orders"
    assert "No events" in run("revenue", "times", "--store", empty)


def test_without_invoices_it_says_what_makes_some(empty: str) -> None:
    for command in ("months", "top", "recurring"):
        assert "'tollkeeper invoices run' makes invoices" in run("revenue", command, "--store", empty)


def test_export_to_the_output_and_to_a_file(store: str, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("export", "charges", *SPAN, "--store", store), newline="")))
    assert {row["customer_name"] for row in rows} == {"Acme", "Bolt", "'=Cell()", "Dōjō", "Echo"}
    file = tmp_path / "focus.parquet"
    run("export", "charges", *SPAN, "--focus", "--format", "parquet", "-o", str(file), "--store", store)
    assert load_pyarrow().parquet.read_table(file).num_rows > len(rows)
    assert len(run("export", "invoices", *SPAN, "--format", "jsonl", "--store", store).splitlines()) == 10
    assert len(run("export", "events", *SPAN, "--store", store).splitlines()) > 2_800
    assert [one.name for one in tmp_path.iterdir()] == ["focus.parquet"]


def test_parquet_is_not_written_to_a_terminal(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.cli.exports._is_terminal", lambda: True)
    assert "give --output FILE" in _refused("export", "invoices", "--format", "parquet", "--store", store)


def _refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    return " ".join(result.output.replace("│", " ").split())


def test_simulate(store: str, tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text(DRAFT, encoding="utf-8")
    given = ("simulate", "--plan", str(file), "--period", "2026-10", "--store", store)
    shown = lines(*given, "--limit", "2")
    assert shown[0] == "Customer Before After Difference"
    assert shown[1] == "Dōjō 3,000 JPY 0 JPY -3,000 lost"
    assert shown[3] == "... and 4 more: --limit shows them."
    assert shown[4].endswith("4 more, 1 new.")
    assert shown[4].startswith("2026-10: 231.05 EUR → ")
    rows = list(csv.DictReader(io.StringIO(run(*given, "--format", "csv"), newline="")))
    assert {(row["name"], row["currency"]) for row in rows} >= {("'=Cell()", "EUR"), ("Dōjō", "EUR"), ("Dōjō", "JPY")}
    found = json.loads(run(*given, "--format", "json", "--customer", "Bolt", "--subscribers-of", "basic"))
    assert [row["name"] for row in found["rows"]] == ["Bolt"]
    assert "Nobody would be charged for 2026-07" in run(*given[:3], "--period", "2026-07", *given[5:])
    with pytest.raises(ConfigurationError, match="Cannot read"):
        run("simulate", "--plan", str(tmp_path / "none.toml"), "--store", store)


def test_simulate_says_what_cannot_be_charged(store: str, tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text('[[plan]]\nname = "fees"\nkind = "pay_as_you_go"\n', encoding="utf-8")
    assert "=Cell()" in run("simulate", "--plan", str(file), "--period", "2026-10", "--store", store)
    file.write_text(
        '[[route]]\napi = "orders"\nversion = "v1"\nendpoint = "/orders/{id}"\nmethod = "GET"\n'
        'price = [{ price = "1", currency = "USD" }]\n',
        encoding="utf-8",
    )
    result = CliRunner().invoke(app, ["simulate", "--plan", str(file), "--period", "2026-10", "--store", store])
    assert "Bolt: " in result.stderr
