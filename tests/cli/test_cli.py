from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest
from typer.testing import CliRunner

from support.served import Served, run_cli
from tollkeeper import __version__
from tollkeeper.cli import main
from tollkeeper.cli.main import app
from tollkeeper.events.codec import decode_batch
from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

runner = CliRunner()


def run(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, arguments)
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/store.db"
    service = open_service(Settings(store=url))
    events = [
        {
            "id": str(number),
            "time": f"2026-10-{29 + number % 3}T12:00:00Z",
            "method": "GET",
            "path": f"/items/{number}",
            "status_code": 404 if number % 5 == 0 else 200,
            "consumer": {"key": "acme" if number % 2 else "umbrella"},
            "request": {"elapsed_time": 0.1},
        }
        for number in range(30)
    ]
    service.events.append([("shop", decode_batch(json.dumps([*events, {}]).encode(), source="shop"))])
    service.close()
    return url


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("route", {"GET /items/{id}": 30}),
        ("consumer", {"acme": 15, "umbrella": 15}),
        ("status", {"200": 24, "404": 6}),
        ("day", {"2026-10-29": 10, "2026-10-30": 10, "2026-10-31": 10}),
    ],
)
def test_usage_counts_by_each_grouping(store: str, by: str, expected: dict[str, int]) -> None:
    rows = json.loads(run("usage", "--by", by, "--json", "--store", store))
    table = run("usage", "--by", by, "--store", store)

    assert {row[by]: row["requests"] for row in rows} == expected
    assert all(name in table for name in expected)
    assert all(row["latency_p95"] == pytest.approx(0.1, rel=0.01) for row in rows)


def test_usage_takes_a_half_open_period_and_a_limit(store: str) -> None:
    rows = json.loads(
        run("usage", "--by", "day", "--from", "2026-10-30", "--to", "2026-10-31", "--json", "--store", store)
    )
    assert [row["day"] for row in rows] == ["2026-10-30"]
    assert len(json.loads(run("usage", "--by", "status", "--limit", "1", "--json", "--store", store))) == 1


def test_an_empty_store_says_what_to_do_next(tmp_path: Path) -> None:
    assert "tollkeeper import" in run("usage", "--store", f"sqlite:///{tmp_path}/new.db")


def test_reconcile_prints_the_books(store: str) -> None:
    text = run("reconcile", "--store", store)
    books = json.loads(run("reconcile", "--json", "--store", store))

    assert "shop" in text
    assert "balance" in text
    assert {name: books["books"][0][name] for name in ("received", "stored", "duplicate", "rejected")} == {
        "received": 31,
        "stored": 30,
        "duplicate": 0,
        "rejected": 1,
    }


def test_reconcile_exits_1_when_the_books_do_not_balance(store: str) -> None:
    service = open_service(Settings(store=store))
    with service.events._connections.write() as connection:  # type: ignore[attr-defined]  # the file itself is damaged
        connection.execute("DELETE FROM event WHERE seq = 7")
    service.close()

    result = runner.invoke(app, ["reconcile", "--store", store])
    assert result.exit_code == 1
    assert "30 events were stored, but 29 are present" in result.stderr


def test_tokens_are_made_listed_and_revoked(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    secret = run("token", "create", "--scope", "ingest", "--store", store).strip()
    named = run("token", "create", "ci", "--scope", "read", "--store", store).strip()
    listed = run("token", "list", "--store", store)

    assert secret != named
    assert secret.startswith("tkt_")
    assert "ingest-1" in listed
    assert "ci" in listed
    assert secret not in listed
    run("token", "revoke", "ci", "--store", store)
    assert "ci" not in run("token", "list", "--store", store)


def test_a_login_link_needs_no_token_before_it(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    links = [run("login-link", "--url", "https://usage.test/", "--store", store).strip() for _ in range(2)]

    assert all(link.startswith("https://usage.test/login/") for link in links)
    service = open_service(Settings(store=store))
    for link in links:
        assert service.access.check_session(service.access.log_in_by_link(link.rpartition("/")[2])).scope == "admin"
    service.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["usage", "--store", "redis://x"], "sqlite:///PATH"),
        (["usage", "--store", "sqlite:////no/such/folder/x.db"], "does not exist"),
        (["token", "revoke", "nobody", "--store", "memory:"], "token list"),
        (["usage", "--from", "soon", "--store", "memory:"], "2026-10-31"),
        (["--config", "missing.toml", "usage"], "missing.toml"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(
    arguments: Sequence[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOLLKEEPER_CONFIG", "")
    monkeypatch.setattr("sys.argv", ["tollkeeper", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 1
    errors = capsys.readouterr().err
    assert says in errors
    assert errors.count("\n") == 1


def test_the_version_and_the_help() -> None:
    assert run("--version").strip() == f"tollkeeper {__version__}"
    assert "reconcile" in run("--help")
    assert "TOLLKEEPER_STORE" in run("usage", "--help")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("workers", [1, 2])
def test_serve_greets_logs_in_and_stops_at_ctrl_c(tmp_path: Path, workers: int) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    service = Served(store, workers=workers)
    with httpx.Client(base_url=service.url) as client:
        assert client.get("/").status_code == 401
        code = service.stop()
    assert code == 0
    link = service.output.rpartition("/login/")[2].split()[0]
    assert "Log in, once" in service.output

    again = Served(store, workers=workers)
    with httpx.Client(base_url=again.url) as client:
        assert client.post(f"/login/{link}").status_code in {302, 303}
        assert client.get("/").status_code == 200
    assert again.stop() == 0
    assert "login-link" in again.output


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    service = Served(store)
    try:
        result = run_cli("serve", "--port", str(service.port), "--store", store, check=False)
    finally:
        service.stop()
    assert result.returncode == 1
    assert "--port" in result.stderr


def test_python_m_works() -> None:
    assert run_cli("--version").stdout.strip() == f"tollkeeper {__version__}"
