from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from support.served import ADDRESS, Served, environment, run_cli
from tollkeeper import __version__
from tollkeeper.cli import main, reports
from tollkeeper.cli.main import app
from tollkeeper.errors import NotFoundError
from tollkeeper.events.codec import decode_batch
from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

runner = CliRunner()

WITHOUT_TYPER = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without())
from tollkeeper.cli import main
main()
"""


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


def test_an_empty_store_says_what_to_do_next() -> None:
    assert "tollkeeper import" in run("usage", "--store", "memory:")
    assert "Nothing was received yet." in run("reconcile", "--store", "memory:")
    assert "tollkeeper token create" in run("token", "list", "--store", "memory:")


def test_an_empty_period_is_not_an_empty_store(store: str) -> None:
    assert run("usage", "--from", "2030-01-01", "--store", store) == "No events in this time.\n"
    assert run("usage", "--to", "1990-01-01", "--store", store) == "No events in this time.\n"


@pytest.mark.parametrize(
    "arguments", [["usage"], ["reconcile"], ["login-link"], ["token", "list"], ["token", "revoke", "ci"]], ids=" ".join
)
def test_a_mistyped_store_is_said_and_not_made(tmp_path: Path, arguments: Sequence[str]) -> None:
    file = tmp_path / "typo.db"
    result = runner.invoke(app, [*arguments, "--store", f"sqlite:///{file}"])

    assert isinstance(result.exception, NotFoundError)
    assert f"no store at {file}: name it with --store or TOLLKEEPER_STORE" in str(result.exception)
    assert not file.exists()


def add(store: str, path: str, **values: object) -> None:
    event = {"id": path, "time": "2026-10-30T12:00:00Z", "method": "GET", "path": path, "status_code": 200, **values}
    service = open_service(Settings(store=store))
    service.events.append([("shop", decode_batch(json.dumps([event]).encode(), source="shop"))])
    service.close()


def test_units_are_shown_where_they_are_not_the_requests(store: str) -> None:
    assert "Units" not in run("usage", "--store", store)
    add(store, "/more", units="3")
    assert "Units" in run("usage", "--store", store)


@pytest.mark.parametrize(
    ("width", "left_out"), [(160, set()), (92, {"p50"}), (82, {"p50", "p99"}), (75, {"p50", "p99", "Bytes"})]
)
def test_a_narrow_terminal_gets_fewer_columns_before_a_route_is_broken(
    store: str, width: int, left_out: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/v1/customers/reports/yearly/all"
    add(store, path)
    monkeypatch.setattr(reports, "console", lambda: Console(width=width, markup=False, highlight=False))
    heading, *rows = run("usage", "--store", store).splitlines()

    assert {name for name in ("p50", "p95", "p99", "Bytes") if name not in heading} == left_out
    assert len(rows) == 2
    assert any(row.startswith(f"GET {path} ") for row in rows)


def test_what_looks_like_markup_is_printed_as_it_is(store: str) -> None:
    add(store, "/items", route="/items/[red]")
    assert "GET /items/[red] " in run("usage", "--store", store)


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


def test_a_login_link_needs_no_token_before_it(store: str) -> None:
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
        (["usage", "--store", "sqlite:////no/such/folder/x.db"], "no store at /no/such/folder/x.db"),
        (["token", "create", "--scope", "read", "--store", "sqlite:////no/such/folder/x.db"], "does not exist"),
        (["serve", "--port", "99999"], "port is 99999: give a whole number from 0 to 65535"),
        (["serve", "--port", "0", "--host", "192.0.2.7"], "Choose another --host"),
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


@pytest.mark.timeout(120)
@pytest.mark.parametrize("all_at_once", [False, True], ids=["the first process", "all processes"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize("workers", [1, 2])
def test_serve_ends_with_nothing_left_but_the_store(
    tmp_path: Path, workers: int, number: signal.Signals, *, all_at_once: bool
) -> None:
    arguments = ["serve", "--store", f"sqlite:///{tmp_path}/store.db", "--port", "0", "--workers", str(workers)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tollkeeper.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment() | {"PYTHONUNBUFFERED": "1", "TOLLKEEPER_PROT": "8"},
        start_new_session=True,
    )
    try:
        assert process.stdout
        assert "TOLLKEEPER_PROT is no setting" in process.stdout.readline()
        address = ADDRESS.match(process.stdout.readline())
        assert address
        for _ in range(5):
            assert httpx.get(f"{address[1]}/readyz", timeout=30).status_code == 200
        (os.killpg if all_at_once else os.kill)(process.pid, number)
        # All its processes share the pipe: what it reads is whole only when the last of them is gone.
        printed, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    assert process.returncode == 0
    assert "Traceback" not in printed
    assert printed.endswith(f"Stopped; all that was acknowledged is in sqlite:///{tmp_path}/store.db.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    service = Served(store)
    try:
        result = run_cli("serve", "--port", str(service.port), "--store", store, check=False)
    finally:
        service.stop()
    assert result.returncode == 1
    assert "--port" in result.stderr


def without(missing: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TYPER.format(missing=missing), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment())


def test_the_command_says_what_to_install() -> None:
    done = without("typer")
    assert done.returncode == 1
    assert done.stderr == "tollkeeper: typer is not installed. Run: pip install 'tollkeeper[server]'\n"


def test_a_part_of_the_package_that_is_missing_is_no_extra_to_install() -> None:
    done = without("tollkeeper.cli.tokens")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "pip install" not in done.stderr


def test_python_m_works() -> None:
    assert run_cli("--version").stdout.strip() == f"tollkeeper {__version__}"
