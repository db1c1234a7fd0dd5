from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest

from support.requirements import require
from support.running import Api, running
from support.stores import DURABLE, store_url
from tollkeeper.service.rollups import fold_all
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = "from=2026-10-31&to=2026-11-01"


@pytest.fixture(scope="module", params=DURABLE)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service that is only read from."""
    with running(Settings(store=store_url(request.param, tmp_path_factory.mktemp("filled")))) as api:
        fill(api)
        yield api


def fill(api: Api) -> None:
    events = [
        {
            "id": f"e{number:03}",
            "source": "shop",
            "time": f"2026-10-31T{number // 4:02}:{number % 4 * 15:02}:00Z",
            "method": "POST" if number % 10 == 0 else "GET",
            "path": f"/items/{number}",
            "route": "/items/{id}" if number % 3 else "/search",
            "status_code": 500 if number % 20 == 0 else 200,
            "consumer": {"key": f"c{number % 4}", "label": f"Consumer {number % 4}"},
            "request": {"elapsed_time": 0.001 * (number + 1)},
            "response": {"content_length": 100},
        }
        for number in range(96)
    ]
    for start in (0, 48):
        assert api.ingest.post("/v1/events", json=events[start : start + 48]).json()["stored"] == 48
    api.service.events.fold(60)


def get(api: Api, path: str) -> Any:
    answer = api.read.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_time_series_in_buckets(filled: Api) -> None:
    body = get(filled, f"/v1/analytics/timeseries?metric=requests&{DAY}&step=6h")

    assert (body["metric"], body["unit"], body["step"]) == ("requests", "requests", 21_600)
    assert body["buckets"] == [f"2026-10-31T{hour:02}:00:00Z" for hour in (0, 6, 12, 18)]
    assert body["series"] == [{"key": None, "values": [24, 24, 24, 24]}]


@pytest.mark.parametrize(
    ("metric", "unit", "value"),
    [
        ("errors", "requests", 5),
        ("error_rate", "ratio", 5 / 96),
        ("bytes", "bytes", 9_600),
        ("units", "units", 96),
        ("latency_p50", "seconds", 0.048),
        ("latency_p95", "seconds", 0.091),
        ("latency_p99", "seconds", 0.095),
    ],
)
def test_each_metric(filled: Api, metric: str, unit: str, value: float) -> None:
    body = get(filled, f"/v1/analytics/timeseries?metric={metric}&{DAY}&step=1d")

    assert body["unit"] == unit
    assert body["series"][0]["values"] == [pytest.approx(value, rel=0.01)]


def test_groups_have_a_line_each_and_the_rest_is_other(filled: Api) -> None:
    body = get(filled, f"/v1/analytics/timeseries?metric=requests&{DAY}&step=1d&group_by=consumer&limit=2")
    by_class = get(filled, f"/v1/analytics/timeseries?metric=requests&{DAY}&step=1d&group_by=status_class")

    assert [line["key"] for line in body["series"]][-1] == "(other)"
    assert sum(line["values"][0] for line in body["series"]) == 96
    assert {line["key"]: line["values"] for line in by_class["series"]} == {"2xx": [91], "5xx": [5]}


def test_an_empty_range_has_a_line_of_nothing(filled: Api) -> None:
    body = get(filled, "/v1/analytics/timeseries?metric=latency_p50&from=2020-01-01&to=2020-01-02&step=1d")

    assert body["series"] == [{"key": None, "values": [None]}]


def test_the_step_defaults_to_at_most_120_buckets(filled: Api) -> None:
    body = get(filled, "/v1/analytics/timeseries?metric=requests&from=2026-10-01&to=2026-11-01")

    assert len(body["buckets"]) <= 120
    assert sum(body["series"][0]["values"]) == 96


def test_rankings(filled: Api) -> None:
    routes = get(filled, f"/v1/analytics/top?by=route&{DAY}")["rows"]
    consumers = get(filled, f"/v1/analytics/top?by=consumer&{DAY}&limit=1&metric=latency_p95")["rows"]
    statuses = get(filled, f"/v1/analytics/top?by=status&{DAY}")["rows"]

    assert sum(row["requests"] for row in routes) == 96
    assert routes[0]["key"] == "GET /items/{id}"
    assert routes == sorted(routes, key=lambda row: -row["requests"])
    assert len(consumers) == 1
    assert consumers[0]["label"].startswith("Consumer ")
    assert [(row["key"], row["requests"]) for row in statuses] == [("200", 91), ("500", 5)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("consumer=c1", 24),
        ("status=5xx", 5),
        ("status=500&consumer=c0", 5),
        ("method=post", 10),
        ("route=/search", 32),
        ("route=/search&method=GET", 28),
        ("consumer=nobody", 0),
        ("api=none", 0),
    ],
)
def test_filters_mean_the_same_everywhere(filled: Api, filters: str, expected: int) -> None:
    series = get(filled, f"/v1/analytics/timeseries?metric=requests&{DAY}&step=1d&{filters}")["series"]
    events = get(filled, f"/v1/events?limit=1000&{filters}")["events"]
    ranked = get(filled, f"/v1/analytics/top?by=status&{DAY}&{filters}")["rows"]

    assert series[0]["values"] == [expected]
    assert len(events) == expected
    assert sum(row["requests"] for row in ranked) == expected


def test_pages_of_events_follow_the_link_to_the_end(filled: Api) -> None:
    fold_all(filled.service.events)
    seen: list[str] = []
    url = f"{filled.url}/v1/events?limit=7&status=200"
    while url:
        answer = filled.read.get(url)
        seen += [event["id"] for event in answer.json()["events"]]
        following = answer.links.get("next", {}).get("url")
        url = urljoin(url, following) if following else ""

    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == 91


@pytest.mark.parametrize(
    "query",
    [
        "/v1/analytics/timeseries?metric=speed",
        "/v1/analytics/timeseries",
        "/v1/analytics/timeseries?metric=requests&from=soon",
        "/v1/analytics/timeseries?metric=requests&from=2026-01-02&to=2026-01-01",
        "/v1/analytics/timeseries?metric=requests&step=7",
        "/v1/analytics/timeseries?metric=requests&step=5m",
        "/v1/analytics/timeseries?metric=requests&from=2000-01-01&step=15m",
        "/v1/analytics/timeseries?metric=requests&status=4x4",
        "/v1/analytics/timeseries?metric=requests&limit=0",
        "/v1/analytics/timeseries?metric=requests&from=0001-01-01&to=0002-01-01",
        "/v1/analytics/timeseries?metric=requests&to=9999-12-31T23:59:59-23:59",
        "/v1/analytics/timeseries?metric=requests&step=15m&consumer=c1",
        "/v1/analytics/timeseries?metric=requests&step=15m&group_by=consumer",
        "/v1/analytics/timeseries?metric=requests&from=0001-01-01T00:00:00%2B14:00",
        "/v1/analytics/top?by=colour",
        "/v1/events?limit=0",
        "/v1/events?limit=many",
        "/v1/events?after=1",
        "/v1/events?after=99999999999999999999.1",
        "/v1/events?after=-1.2",
    ],
)
def test_what_cannot_be_asked_is_a_400_that_says_so(filled: Api, query: str) -> None:
    answer = filled.read.get(query)

    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 10


def test_an_unknown_address_and_method_are_problems(api: Api) -> None:
    assert api.read.get("/v1/nothing").status_code == 404
    assert api.read.get("/v1/nothing").headers["content-type"] == "application/problem+json"
    answer = api.read.put("/v1/events")
    assert answer.status_code == 405
    assert {"GET", "POST"} & set(answer.headers["allow"].replace(" ", "").split(","))


def test_without_a_token_only_the_health_is_told(api: Api) -> None:
    schema = api.read.get("/openapi.json").json()
    # Where a number stands in the path, any other text is no path at all.
    calls = [(method, path.replace("{n}", "1")) for path, item in schema["paths"].items() for method in item]
    calls += [("get", path) for path in ("/openapi.json", "/docs", "/", "/requests", "/endpoints")]

    calls.remove(("post", "/v1/usage"))  # it asks for the customer's own key, and says what is missing
    assert api.anonymous.post("/v1/usage").status_code == 400

    answers = {call: api.anonymous.request(*call).status_code for call in calls}

    told = {path for (_, path), status in answers.items() if status == 200}
    assert told == {"/healthz", "/readyz"}
    assert set(answers.values()) == {200, 401}
    assert api.ingest.get("/v1/events").status_code == 403


def test_a_session_of_the_dashboard_may_read_the_api_and_its_docs(api: Api) -> None:
    token = api.service.catalog.tokens()[-1]
    session = api.service.access.log_in_by_link(api.service.access.create_login_link(token))
    api.anonymous.cookies.set("tollkeeper_session", session)

    page = api.anonymous.get("/docs", follow_redirects=True)
    assert page.status_code == 200
    assert "/v1/analytics/timeseries" in page.text
    assert "//" not in page.text.replace("<!doctype", "").replace("http://www.w3.org", "").split("<body")[0]
    assert api.anonymous.get("/openapi.json").json()["openapi"].startswith("3.1")
    assert api.anonymous.post("/v1/events", json={}).status_code == 401


def test_metrics_are_well_formed_and_keep_the_books(api: Api) -> None:
    require("promtool", shutil.which("promtool"))
    fill(api)
    api.ingest.post("/v1/events", json=[{}, {}])
    text = api.read.get("/metrics").text

    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert 'tollkeeper_events_total{outcome="stored",source="shop"} 96.0' in text
    assert 'tollkeeper_events_total{outcome="rejected",source="ingest"} 2.0' in text
    assert "tollkeeper_rollup_lag_events 36.0" in text


def test_readiness_fails_when_the_store_does(api: Api) -> None:
    assert api.anonymous.get("/readyz").status_code == 200
    api.service.events.close()
    answer = api.anonymous.get("/readyz")

    assert answer.status_code == 503
    assert api.anonymous.get("/healthz").status_code == 200
