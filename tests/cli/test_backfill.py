from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer.testing

from tollkeeper.cli import backfill
from tollkeeper.cli.backfill import import_app
from tollkeeper.errors import SinkError
from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper.events.codec import DecodedBatch
    from tollkeeper.events.receipt import Receipt

EVENT = (
    '{"id": "a", "source": "app", "time": "2015-05-17T10:05:03Z", "method": "GET", "path": "/a", "status_code": 200}'
)


def line(place: int) -> str:
    return f'10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /users/{place} HTTP/1.1" 200 5 "-" "curl"'


def run(*arguments: str, stdin: bytes = b"") -> typer.testing.Result:
    return typer.testing.CliRunner().invoke(import_app, list(arguments), input=stdin)


@pytest.fixture
def log(tmp_path: Path) -> str:
    file = tmp_path / "access.log"
    rows = [line(place) for place in range(10)]
    rows[4:4] = ["[bold]odd[/bold]"] * 7
    file.write_text("\n".join(rows), encoding="utf-8")
    return str(file)


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/tollkeeper.db"


def ledger(store: str) -> list[tuple[str, int, int, int | None]]:
    service = open_service(load_settings(environ={}, store=store))
    try:
        return [(row.source, row.received, row.stored, row.present) for row in service.events.ledger(recount=True)]
    finally:
        service.close()


def numbers(output: str) -> dict[str, str]:
    return dict(row.split() for row in output.splitlines() if len(row.split()) == 2)


def test_an_import_reports_and_a_second_adds_nothing(log: str, store: str) -> None:
    result = run("access-log", log, "--store", store)
    assert result.exit_code == 0
    counts = numbers(result.stdout)
    assert (counts["Stored"], counts["Duplicate"], counts["Bad"]) == ("10", "0", "7")
    assert "10 events stored of 17 lines read" in result.stdout
    shown = [row for row in result.stderr.splitlines() if row.startswith(f"{log}:")]
    assert [row.split(":")[1] for row in shown] == ["5", "6", "7", "8", "9"]
    assert "2 more" in result.stderr
    counts = numbers(run("access-log", log, "--store", store).stdout)
    assert (counts["Stored"], counts["Duplicate"]) == ("0", "10")
    assert ledger(store) == [("access-log", 20, 10, 10)]


def test_events_are_imported_with_their_names(tmp_path: Path, store: str) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(f"{EVENT}\n", encoding="utf-8")
    result = run("events", str(file), "--store", store)
    assert result.exit_code == 0
    assert numbers(result.stdout)["Stored"] == "1"
    assert "1 event stored of 1 line read" in result.stdout
    assert ("app", 1, 1, 1) in ledger(store)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--consumer", "x"], "no group"),
        (["--format", "xml"], "not known"),
        (["--pattern", "("], "regular expression"),
        (["--store", "sqlite:///x.db", "--to", "http://127.0.0.1"], "not both"),
        (["--to", "ftp://127.0.0.1"], "address of a service"),
        (["absent.log"], "absent.log"),
    ],
)
def test_usage_errors_exit_2_and_make_no_store(
    log: str, arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERMINAL_WIDTH", "500")
    result = run("access-log", log, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_import_of_bad_lines_alone_fails(tmp_path: Path, store: str) -> None:
    file = tmp_path / "odd.log"
    file.write_text(f"odd\n{line(1).replace('2015', '1969')}\n", encoding="utf-8")
    result = run("access-log", str(file), "--store", store)
    assert result.exit_code == 1
    assert numbers(result.stdout)["Bad"] == "2"
    assert "Nothing was imported" in result.stderr
    file.write_text("", encoding="utf-8")
    assert run("access-log", str(file), "--store", store).exit_code == 0


def test_what_was_imported_is_rolled_up(log: str, store: str) -> None:
    run("access-log", log, "--store", store)
    service = open_service(load_settings(environ={}, store=store))
    try:
        assert service.events.fold(1000) == 0
    finally:
        service.close()


def test_the_help_names_the_variable_of_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    assert "(env: TOLLKEEPER_TOKEN)" in run("access-log", "--help").stdout


def test_a_missing_file_makes_no_store(tmp_path: Path, store: str) -> None:
    assert run("access-log", str(tmp_path / "absent.log"), "--store", store).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_token_goes_with_to_and_trouble_exits_1(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fail(_: DecodedBatch) -> Receipt:
        raise SinkError("http://example.org does not answer.")

    def delivery(url: str, token: str) -> object:
        asked.append((url, token))
        return fail

    monkeypatch.setattr(backfill, "remote_delivery", delivery)
    result = run("access-log", log, "--to", "http://example.org", "--token", "s3")
    assert result.exit_code == 1
    assert asked == [("http://example.org", "s3")]
    assert "does not answer" in result.stderr
    assert "run the same import again" in result.stderr


def test_a_terminal_sees_a_bar(log: str, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    result = run("access-log", log, "--store", store)
    assert result.exit_code == 0
    assert "100%" in result.stderr


def test_a_pipe_sees_plain_lines_now_and_then(log: str, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "QUIET_SECONDS", 0.0)
    result = run("access-log", log, "--store", store)
    assert "17 lines" in result.stderr
