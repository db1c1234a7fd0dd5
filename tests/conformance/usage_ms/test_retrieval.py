"""api-usage-ms: usage data retrieval."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from conformance.usage_ms.shop import KEY, made_at, post, register, report, usage
from support.running import Api, running
from support.stores import DURABLE, store_url
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED = {"httpStatusCode": 500, "errorCode": "E17", "errorDescription": "The warehouse is closed."}
MARCH = {"fromDate": "2026-03-01:00:00:00", "toDate": "2026-04-01:00:00:00"}


@pytest.fixture
def used(api: Api) -> Api:
    fill(api)
    return api


@pytest.fixture(scope="module", params=DURABLE)
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """As ``used``, for tests that only ask."""
    with running(Settings(store=store_url(request.param, tmp_path_factory.mktemp("asked")))) as api:
        fill(api)
        yield api


def fill(api: Api) -> None:
    """Let a customer call two endpoints on two days, where one call fails, and once in the year before."""
    register(api)
    body = {"apiName": "orders", "apiVersion": "v1", "endpointName": "/items"}
    assert api.admin.post("/v1/internal/registerAPIRoute", json=body).status_code == 201
    reports = [
        report(time="2026-03-10T00:00:00Z"),
        report(time="2026-03-10T23:59:59Z", units="1.5"),
        report(time="2026-03-11T00:00:00Z", endPointName="/items", **FAILED),
        report(time="2025-12-31T23:59:59Z"),
    ]
    assert post(api, reports).status_code == 202


def rows(api: Api, call: str = "usage", **query: Any) -> list[dict[str, Any]]:
    answer = usage(api, call, **query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def row(period: str, endpoint: str, calls: int, units: str, errors: int = 0) -> dict[str, Any]:
    product = {"apiName": "orders", "apiVersion": "v1", "endPointName": endpoint}
    return {"period": period, **product, "calls": calls, "errors": errors, "units": units}


def test_usage_by_day(asked: Api) -> None:
    first, second = row("2026-03-10", "/orders", 2, "2.5"), row("2026-03-11", "/items", 1, "1", errors=1)
    answer = usage(asked)

    assert answer.json() == {
        "intervalType": "d",
        "fromDate": "2026-03-01T00:00:00Z",
        "toDate": "2026-04-01T00:00:00Z",
        "rows": [first, second],
    }


def test_usage_by_month(asked: Api) -> None:
    query = {"intervalType": "m", "fromDate": "2025-12-01:00:00:00"}
    assert rows(asked, **query) == [
        row("2025-12", "/orders", 1, "1"),
        row("2026-03", "/items", 1, "1", errors=1),
        row("2026-03", "/orders", 2, "2.5"),
    ]


def test_usage_by_year(asked: Api) -> None:
    found = rows(asked, intervalType="y", fromDate="2024-02-29:00:00:00")
    assert [(one["period"], one["endPointName"], one["calls"]) for one in found] == [
        ("2025", "/orders", 1),
        ("2026", "/items", 1),
        ("2026", "/orders", 2),
    ]


def test_usage_is_the_same_from_roll_ups(used: Api) -> None:
    queries = [
        {},
        {"intervalType": "m", "fromDate": "2025-01-15:06:30:00"},
        {"intervalType": "y", "fromDate": "2020-01-01"},
    ]
    before = [rows(used, **query) for query in queries]
    while used.service.events.backlog():
        used.service.events.fold(1_000)
    assert [rows(used, **query) for query in queries] == before


def test_end_point_name_filters(asked: Api) -> None:
    assert rows(asked, endPointName="/items") == [row("2026-03-11", "/items", 1, "1", errors=1)]


def test_the_version_counts(used: Api) -> None:
    body = {"apiName": "orders", "apiVersion": "v2", "endpointName": "/orders"}
    assert used.admin.post("/v1/internal/registerAPIRoute", json=body).status_code == 201
    post(used, report(apiversion="v2"))

    assert [one["calls"] for one in rows(used, version="v2")] == [1]
    assert sum(one["calls"] for one in rows(used, version="v1")) == 3
    assert sum(one["calls"] for one in rows(used, version=None)) == 4
    assert len(rows(used, version="v2", details="true")) == 1


def test_dates_are_taken_in_the_format_of_the_document_and_in_iso_8601(asked: Api) -> None:
    wanted = rows(asked, fromDate="2026-03-10:00:00:00", toDate="2026-03-10:23:59:59")
    assert [one["calls"] for one in wanted] == [1]
    for start, end in [
        ("2026-03-10T00:00:00Z", "2026-03-10T23:59:59Z"),
        ("2026-03-10", "2026-03-10T23:59:59"),
        ("2026-03-10T01:00:00+01:00", "2026-03-10T23:59:59Z"),
    ]:
        assert rows(asked, fromDate=start, toDate=end) == wanted


def test_to_date_is_now_and_from_date_a_while_ago_when_left_out(api: Api) -> None:
    now = datetime.now(UTC)
    register(api)
    post(api, report(time=(now - timedelta(hours=1)).isoformat()))
    headers = {"apiKey": KEY, "apiVersion": "v1"}
    for kind, days in (("d", 30), ("m", 365), ("y", 3650)):
        answer = api.anonymous.get("/v1/usage", headers=headers, params={"intervalType": kind}).json()
        start, end = (datetime.fromisoformat(answer[name]) for name in ("fromDate", "toDate"))
        assert timedelta(0) <= end - now < timedelta(minutes=1)
        assert end - start == timedelta(days=days)
        assert answer["rows"][-1]["calls"] == 1


def test_60_days_or_more_by_day_are_refused_in_the_words_of_the_document(asked: Api) -> None:
    start = "2026-01-01:00:00:00"
    for call in ("usage", "errors"):
        answer = usage(asked, call, fromDate=start, toDate="2026-03-02:00:00:00")
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"] == "Please provide a range less than 60 days"
        assert usage(asked, call, fromDate=start, toDate="2026-03-01:23:59:59").status_code == 200
        assert usage(asked, call, intervalType="m", fromDate=start, toDate="2026-03-02:00:00:00").status_code == 200


@pytest.mark.parametrize("call", ["usage", "errors"])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"intervalType": "w"}, "intervalType is 'w': give d, m or y."),
        ({"intervalType": ""}, "intervalType is '': give d, m or y."),
        ({"fromDate": "garbage"}, "fromDate is 'garbage'"),
        ({"toDate": "2026-02-30:00:00:00"}, "toDate is '2026-02-30:00:00:00'"),
        ({"toDate": "2026-03-10:25:00:00"}, "toDate is"),
        ({"fromDate": "1969-12-31:00:00:00"}, "fromDate is"),
        ({"toDate": "99999-01-01"}, "toDate is"),
        ({"fromDate": "2026-04-01"}, "give fromDate < toDate"),
        ({"intervalType": "m", "fromDate": "1970-01-01", "toDate": "9000-01-01"}, "more than 1200 periods"),
        ({"endPointName": "/nowhere"}, "endPointName is '/nowhere': no such endpoint is registered."),
        ({"version": "v9"}, "apiVersion is 'v9': no API has such a version."),
        ({"details": "perhaps"}, "details"),
        ({"details": "true", "limit": "0"}, "limit"),
    ],
)
def test_garbage_is_a_400_that_says_so(asked: Api, call: str, query: dict[str, str], said: str) -> None:
    answer = usage(asked, call, **query)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]


def test_interval_type_is_required(asked: Api) -> None:
    answer = asked.anonymous.get("/v1/usage", headers={"apiKey": KEY})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Missing: intervalType: give d, m or y.")


def test_a_key_that_is_not_in_force_is_401(used: Api) -> None:
    for headers in ({}, {"apiKey": "no-such-key-at-all"}, {"Authorization": used.admin.headers["authorization"]}):
        answer = used.anonymous.get("/v1/usage", headers=headers, params={"intervalType": "d"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unknown_api_key")
    (key,) = used.read.get("/v1/keys").json()["items"]
    assert used.admin.post(f"/v1/keys/{key['id']}/revoke").status_code == 200
    assert usage(used).status_code == 401


def test_a_key_shows_the_usage_of_all_keys_of_its_customer_and_of_nobody_else(used: Api) -> None:
    customer = register(used, customer="Other", key="the-key-of-other-01")
    post(used, report(), key="the-key-of-other-01")
    made_at(used, "/v1/keys", {"customer": customer, "key": "the-key-of-other-02"})
    post(used, report(), key="the-key-of-other-02")

    for key in ("the-key-of-other-01", "the-key-of-other-02"):
        assert [one["calls"] for one in rows(used, key=key)] == [2]
        assert len(rows(used, key=key, details="true")) == 2
    assert sum(one["calls"] for one in rows(used)) == 3


def test_captured_events_count_by_the_key_in_them(used: Api) -> None:
    event = {"id": "e1", "time": "2026-03-20T00:00:00Z", "method": "GET", "path": "/orders", "status_code": 503}
    captured = event | {"consumer": {"key": fingerprint(KEY)}, "request": {"elapsed_time": 0.5}}
    assert used.ingest.post("/v1/events", json=captured).status_code == 200

    assert rows(used)[-1] == row("2026-03-20", "/orders", 1, "1", errors=1)
    newest = rows(used, "errors", details="true")[0]
    assert (newest["id"], newest["apiName"], newest["apiVersion"]) == ("e1", "orders", "v1")
    assert (newest["pricePerCall"], newest["errorId"], newest["resolved"]) == ("0.01", None, None)


def test_errors_are_counted_alike(asked: Api) -> None:
    assert rows(asked, "errors") == [row("2026-03-11", "/items", 1, "1", errors=1)]
    assert rows(asked, "errors", endPointName="/orders") == []


def test_details_of_errors(used: Api) -> None:
    (found,) = rows(used, "errors", details="true")
    (error,) = used.read.get("/v1/api-errors").json()["items"]

    assert (found["time"], found["endPointName"], found["httpStatusCode"]) == ("2026-03-11T00:00:00Z", "/items", 500)
    assert (found["errorId"], found["errorCode"], found["resolved"]) == (error["id"], "E17", False)
    assert found["errorDescription"] == "The warehouse is closed."
    assert used.admin.post(f"/v1/api-errors/{error['id']}/resolve").status_code == 200
    assert rows(used, "errors", details="true")[0]["resolved"] is True


def test_details_are_the_newest_however_many_there_are(used: Api) -> None:
    post(used, [report(time=f"2026-03-20T00:00:{second:02}Z", apiversion=f"v{second % 2}") for second in range(20)])
    found = rows(used, details="true", limit="3")
    assert [one["time"][17:19] for one in found] == ["19", "17", "15"]


def test_csv_by_accept(used: Api) -> None:
    headers = {"apiKey": KEY, "apiVersion": "v1", "Accept": "text/csv"}
    query = {"intervalType": "d"} | MARCH
    answer = used.anonymous.get("/v1/usage", headers=headers, params=query)

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    assert list(csv.DictReader(io.StringIO(answer.text))) == [
        {name: str(value) for name, value in one.items()} for one in rows(used)
    ]
    details = used.anonymous.get("/v1/errors", headers=headers, params=query | {"details": "true"})
    (line,) = csv.DictReader(io.StringIO(details.text))
    assert (line["errorCode"], line["resolved"]) == ("E17", "False")
    nothing = used.anonymous.get("/v1/usage", headers=headers, params=query | {"toDate": "2026-03-02"})
    assert nothing.text.splitlines() == ["period,apiName,apiVersion,endPointName,calls,errors,units"]


def test_csv_holds_no_formula(used: Api) -> None:
    post(used, report(endPointName="=HYPERLINK(1)"))
    headers = {"apiKey": KEY, "Accept": "text/csv"}
    answer = used.anonymous.get("/v1/usage", headers=headers, params={"intervalType": "d"} | MARCH)
    assert "'=HYPERLINK(1)" in answer.text
