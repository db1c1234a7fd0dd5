"""``tollkeeper errors``: what went wrong is listed, resolved and replayed from the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tollkeeper.cli.main import app
from tollkeeper.errors import ConflictError, NotFoundError, UnprocessableError
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.report_calls import ReportedCalls
from tollkeeper.service.report_drafts import draft_report, keep_errors
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()
KEY = "the-key-of-acme-0001"
REPORT = {
    "apiName": "orders",
    "apiversion": "v1",
    "endPointName": "/orders",
    "clientIPAdress": "203.0.113.7",
    "httpStatusCode": 503,
    "timeTakenInMilliSeconds": 3,
    "errorCode": "E17",
    "errorDescription": "Closed.",
}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store that keeps an error of an API, one of an unknown key, and one of a report that lacks a parameter."""
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("TOLLKEEPER_STORE", url)
    service = open_service(Settings(store=url))
    consumer = fingerprint(KEY)
    calls = ReportedCalls(service.catalog, [consumer])
    wrong = {name: value for name, value in REPORT.items() if name != "endPointName"}
    for place, report in enumerate((REPORT, wrong)):
        draft = draft_report(calls, report, consumer=consumer, secret=KEY, at=1_000_000 * place)
        keep_errors(service.catalog, [draft])
    service.close()
    return url


def run(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, ["errors", *arguments])
    assert result.exit_code == code, f"{result.output} {result.exception!r}"
    return result.stdout.strip()


def refused(kind: type[Exception], *arguments: str) -> str:
    result = runner.invoke(app, ["errors", *arguments])
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def listed(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("list", "--json", *arguments))
    return found


def stored(url: str) -> int:
    service = open_service(Settings(store=url))
    try:
        return sum(row.stored for row in service.events.ledger(recount=True))
    finally:
        service.close()


def test_errors_are_listed_newest_first() -> None:
    assert [error["code"] for error in listed()] == ["missing_parameter", "unknown_api_key", "E17"]
    assert [error["code"] for error in listed("--internal")] == ["missing_parameter", "unknown_api_key"]
    assert [error["code"] for error in listed("--reported", "--limit", "1")] == ["E17"]
    assert listed("--consumer", "key_of_nobody") == []
    assert "Missing: endPointName." in run("list")
    assert KEY not in run("list", "--json")


def test_an_error_is_resolved() -> None:
    (error,) = listed("--reported")
    assert run("resolve", error["id"]) == f"Resolved {error['id']}."
    assert listed("--reported") == []
    assert [one["id"] for one in listed("--reported", "--all")] == [error["id"]]
    assert "err_none" in refused(NotFoundError, "resolve", "err_none")


def test_a_report_is_replayed_with_corrections_and_counted_once(store: str) -> None:
    wrong, unknown, reported = (error["id"] for error in listed())
    assert "Missing: endPointName." in refused(UnprocessableError, "replay", wrong)
    assert "NAME=VALUE" in refused(UnprocessableError, "replay", wrong, "--set", "endPointName")
    assert "not registered" in refused(ConflictError, "replay", unknown)
    refused(ConflictError, "replay", reported)
    assert stored(store) == 0

    for _ in range(2):
        assert run("replay", wrong, "--set", "endPointName=/a=b", "--set", "httpStatusCode=200") == f"Replayed {wrong}."
    assert stored(store) == 1
    assert wrong not in {error["id"] for error in listed()}
