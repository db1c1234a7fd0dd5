"""Revenue, response times, exports and simulations over HTTP."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from support.billed import open_billed
from support.running import running
from tollkeeper.service.exports import parquet as parquet_module
from tollkeeper.service.exports.parquet import load_pyarrow
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.conftest import Api

SPAN = {"from": "2026-09-01", "to": "2026-12-01"}
FREE = {"period": "2026-10", "plan": {"name": "free"}}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with running(Settings(store="memory:", seller_name="Orders Ltd")) as api:
        open_billed(api.service)
        yield api


def get(api: Api, path: str, **query: Any) -> dict[str, Any]:
    answer = api.read.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_revenue_is_told_by_month_and_by_who_brings_it(api: Api) -> None:
    months = get(api, "/v1/revenue/months", **SPAN)["months"]
    assert [(one["month"], one["currency"]) for one in months] == [
        ("2026-09", "EUR"),
        ("2026-09", "JPY"),
        ("2026-10", "EUR"),
        ("2026-10", "JPY"),
        ("2026-11", "EUR"),
    ]
    assert (months[-1]["charged"], months[-1]["credited"], months[-1]["net"]) == ("0.00", "11.21", "-11.21")
    top = get(api, "/v1/revenue/top", by="plan", limit=1, **SPAN)
    assert (top["by"], [(one["name"], one["currency"]) for one in top["rows"]]) == (
        "plan",
        [("gold", "EUR"), ("yen", "JPY")],
    )
    recurring = get(api, "/v1/revenue/recurring", **SPAN)["months"]
    assert recurring[2]["new"] == {"customers": 1, "amount": "79.15"}
    forecast = get(api, "/v1/revenue/forecast", month="2026-11")
    assert (forecast["month"], forecast["drafts"], forecast["currencies"][1]["fees"]) == ("2026-11", 5, "3500")


def test_without_a_time_it_is_a_year(api: Api) -> None:
    assert get(api, "/v1/revenue/months").keys() == {"months"}
    assert get(api, "/v1/revenue/forecast").keys() >= {"month", "counted_to"}


def test_times_are_told_by_api_and_by_route(api: Api) -> None:
    (row,) = get(api, "/v1/analytics/times", by="api", **SPAN)["rows"]
    assert (row["api"], row["api_version"], row["route"]) == ("orders", "v1", None)
    assert row["best"] == pytest.approx(0.01, rel=0.011)
    assert get(api, "/v1/analytics/times", route="/none", **SPAN)["rows"] == []


@pytest.mark.parametrize("focus", [False, True])
def test_charges_are_sent_as_files(api: Api, focus: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    query: dict[str, Any] = {"focus": focus, **SPAN}
    answer = api.read.get("/v1/exports/charges", params=query)
    assert answer.headers["content-type"].startswith("text/csv")
    name = "focus" if focus else "charges"
    assert answer.headers["content-disposition"] == f'attachment; filename="tollkeeper-{name}-2026-09-01.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    column = "BilledCost" if focus else "net"
    file = api.read.get("/v1/exports/charges", params=query | {"format": "parquet"})
    table = load_pyarrow().parquet.read_table(io.BytesIO(file.content)).to_pylist()
    assert [row[column] for row in table] == [Decimal(row[column]) for row in rows]
    lines = api.read.get("/v1/exports/charges", params=query | {"format": "jsonl"}).text.splitlines()
    assert len(lines) == len(rows) == len(table) > 70


def test_without_pyarrow_the_answer_says_so(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(parquet_module, "import_module", missing)
    answer = api.read.get("/v1/exports/charges", params={"format": "parquet"})
    assert (answer.status_code, answer.json()["code"]) == (409, "missing_dependency")


def test_a_draft_is_tried_out(api: Api) -> None:
    answer = api.admin.post("/v1/simulations", json=FREE | {"subscribers_of": "gold", "limit": 1})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["month"], found["customers"], len(found["rows"])) == ("2026-10", 2, 1)
    assert found["totals"] == [
        {
            "currency": "EUR",
            "before": "160.01",
            "after": "4.63",
            "difference": "-155.38",
            "changes": {"less": 2},
        }
    ]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/revenue/months", {"from": "2026-09-01", "to": "2026-09-01"}),
        ("/v1/revenue/months", {"from": "1990-01-01"}),
        ("/v1/revenue/top", {"by": "colour"}),
        ("/v1/revenue/top", {"by": "plan", "limit": "0"}),
        ("/v1/revenue/forecast", {"month": "October"}),
        ("/v1/analytics/times", {"by": "status"}),
        ("/v1/exports/charges", {"format": "xls"}),
        ("/v1/exports/charges", {"from": "x"}),
    ],
)
def test_what_cannot_be_asked_is_refused(api: Api, path: str, query: dict[str, str]) -> None:
    assert api.read.get(path, params=query).status_code == 400


def test_only_who_may_is_answered(api: Api) -> None:
    for path in ("/v1/revenue/months", "/v1/exports/charges", "/v1/analytics/times"):
        assert api.anonymous.get(path).status_code == 401
        assert api.ingest.get(path).status_code == 403
    assert api.read.post("/v1/simulations", json=FREE).status_code == 403
    assert api.admin.post("/v1/simulations", json={"period": "2026-10"}).status_code == 422
