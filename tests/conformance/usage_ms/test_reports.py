"""api-usage-ms: usage data injection."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from conformance.usage_ms.shop import KEY, post, register, report, usage
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.service.ingest import GroupCommit
from tollkeeper.service.report_desk import ReportDesk
from tollkeeper.service.request_log import list_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.running import Api
    from tollkeeper.events.codec import DecodedBatch
    from tollkeeper.events.event import UsageEvent
    from tollkeeper.events.receipt import Receipt

FAILED = {"httpStatusCode": 500, "errorCode": "E17", "errorDescription": "The warehouse is closed."}


def events(api: Api) -> list[UsageEvent]:
    return [stored.event for stored in list_events(api.service.events).events]


def errors(api: Api, **query: Any) -> list[dict[str, Any]]:
    answer = api.read.get("/v1/api-errors", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def calls(api: Api, **query: str) -> int:
    return sum(row["calls"] for row in usage(api, **query).json()["rows"])


def test_a_report_is_recorded(api: Api) -> None:
    register(api)
    answer = post(api, report(id="r1"))

    assert (answer.status_code, answer.json()) == (202, {"id": "r1", "status": "recorded"})
    (event,) = events(api)
    assert (event.api, event.api_version, event.route, event.status_code) == ("orders", "v1", "/orders", 200)
    assert event.client.remote_address == "203.0.113.7"
    assert event.request.elapsed_time == 0.0125
    assert calls(api) == 1


def test_without_an_id_each_report_counts_and_is_given_one(api: Api) -> None:
    register(api)
    ids = {post(api, report()).json()["id"] for _ in range(2)}

    assert len(ids) == 2
    assert calls(api) == 2


def test_the_same_id_again_gets_the_first_answer_and_is_counted_once(api: Api) -> None:
    register(api)
    answers = [
        post(api, report(id="r1", httpStatusCode=status, **extra))
        for status, extra in [(200, {}), (204, {}), (500, {"errorCode": 1, "errorDescription": "x"})]
    ]

    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}
    assert calls(api) == 1


def test_the_same_id_at_the_same_moment_is_counted_once(api: Api) -> None:
    register(api)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(api, report(id="r1", **FAILED)), range(16)))

    assert {answer.status_code for answer in answers} == {202}
    assert calls(api) == 1
    assert len(errors(api)) == 1


def test_the_same_id_of_another_key_is_another_report(api: Api) -> None:
    register(api)
    register(api, customer="Other", key="the-key-of-other-01")
    for key in (KEY, "the-key-of-other-01"):
        post(api, report(id="r1"), key=key)

    assert calls(api) == 1
    assert calls(api, key="the-key-of-other-01") == 1


def test_a_list_of_reports_has_one_result_each(api: Api) -> None:
    register(api)
    answer = post(api, [report(id="a"), report(id="b", httpStatusCode=None), report(id="c"), 7])

    assert answer.status_code == 202
    good, bad, other, worst = answer.json()
    assert (good, other) == ({"id": "a", "status": "recorded"}, {"id": "c", "status": "recorded"})
    assert (bad["id"], bad["status"], bad["detail"]) == ("b", "rejected", "Missing: httpStatusCode.")
    assert (worst["status"], worst["code"]) == ("rejected", "invalid_report")
    assert calls(api) == 2
    assert post(api, []).json() == []


def test_header_names_are_case_insensitive_and_other_spellings_are_taken(api: Api) -> None:
    register(api)
    body = report(apiversion=None, clientIPAdress=None, apiVersion="v1", clientIPAddress="203.0.113.9")
    answer = api.anonymous.post("/v1/usage", json=body, headers={"APIKEY": KEY})

    assert answer.status_code == 202, answer.text
    (event,) = events(api)
    assert (event.api_version, event.client.remote_address) == ("v1", "203.0.113.9")


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ({}, "apiversion, endPointName, clientIPAdress, httpStatusCode, timeTakenInMilliSeconds"),
        (report(endPointName=None, timeTakenInMilliSeconds=""), "endPointName, timeTakenInMilliSeconds"),
        (report(httpStatusCode=404), "errorCode, errorDescription"),
        (report(httpStatusCode="500", apiversion=None, errorCode="E1"), "apiversion, errorDescription"),
    ],
)
def test_one_400_names_everything_that_is_missing(api: Api, body: dict[str, Any], missing: str) -> None:
    answer = post(api, body)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == f"Missing: {missing}."
    assert events(api) == []


def test_the_header_api_key_is_required_too(api: Api) -> None:
    answer = post(api, report(endPointName=None), key=None)
    assert (answer.status_code, answer.json()["detail"]) == (400, "Missing: apiKey, endPointName.")


def test_the_error_pair_is_required_on_error_only(api: Api) -> None:
    register(api)
    assert post(api, report(httpStatusCode=399)).status_code == 202
    assert post(api, report(httpStatusCode=400)).status_code == 400
    assert post(api, report(**FAILED)).status_code == 202


def test_an_error_report_writes_api_error_and_the_usage_row_that_names_it(api: Api) -> None:
    register(api)
    post(api, report(id="r1", **FAILED))

    (error,) = errors(api)
    (event,) = events(api)
    assert (error["code"], error["description"], error["is_internal"]) == ("E17", "The warehouse is closed.", False)
    assert (error["event_source"], error["event_id"]) == (event.source, event.id)
    assert event.document()["variables"] == {"error": error["id"], "report": "r1"}
    assert event.error is not None
    assert (event.error.type, event.error.message) == ("E17", "The warehouse is closed.")


def test_api_error_is_written_first(api: Api) -> None:
    register(api)
    known: list[str] = []

    def append(batches: Sequence[tuple[str, DecodedBatch]]) -> list[Receipt]:
        known.extend(error["code"] for error in errors(api))
        return api.service.events.append(batches)

    async def take() -> None:
        commits = GroupCommit(append)
        desk = ReportDesk(api.service.catalog, commits, 10)
        await desk.take(KEY, json.dumps(report(**FAILED)).encode())
        desk.close()
        commits.close()

    asyncio.run(take())
    assert known == ["E17"]
    assert calls(api) == 1


def test_each_usage_row_keeps_what_the_table_names(api: Api) -> None:
    customer = register(api)
    post(api, report(id="r1", endPointName="/orders"))
    (row,) = usage(api, details="true").json()["rows"]

    route = api.read.get("/v1/routes").json()["items"][0]["id"]
    assert (row["apiCustomerId"], row["apiRouteId"], row["apiKey"]) == (customer, route, fingerprint(KEY))
    assert (row["apiName"], row["apiVersion"], row["endPointName"]) == ("orders", "v1", "/orders")
    assert (row["clientAddress"], row["httpStatusCode"], row["timeTaken"]) == ("203.0.113.7", 200, 12.5)
    assert (row["pricePerCall"], row["currency"]) == ("0.01", "EUR")


def test_the_price_is_that_in_force_at_the_time_of_the_call(api: Api) -> None:
    register(api)
    route = api.read.get("/v1/routes").json()["items"][0]["id"]
    later = {"price": "0.02", "currency": "EUR", "valid_from": "2026-03-11T00:00:00Z"}
    assert api.admin.post(f"/v1/routes/{route}/prices", json=later).status_code == 201
    for day in (10, 11):
        post(api, report(time=f"2026-03-{day}T12:00:00Z"))

    rows = usage(api, details="true").json()["rows"]
    assert [row["pricePerCall"] for row in rows] == ["0.02", "0.01"]


def test_the_route_is_the_exact_endpoint_else_the_default_route(api: Api) -> None:
    register(api)
    default = {"apiName": "orders", "apiVersion": "v1", "pricePerCall": "0.5", "currency": "EUR"}
    made = api.admin.post("/v1/internal/registerAPIRoute", json=default).json()
    post(api, report(endPointName="/orders"))
    post(api, report(endPointName="/elsewhere"))

    rows = {row["endPointName"]: row for row in usage(api, details="true").json()["rows"]}
    assert (rows["/elsewhere"]["apiRouteId"], rows["/elsewhere"]["pricePerCall"]) == (made["id"], "0.5")
    assert rows["/orders"]["pricePerCall"] == "0.01"


def test_without_api_name_it_is_the_api_that_the_key_is_subscribed_to(api: Api) -> None:
    register(api)
    other = {"apiName": "maps", "apiVersion": "v1"}
    assert api.admin.post("/v1/internal/registerAPIRoute", json=other).status_code == 201
    post(api, report())
    assert [event.api for event in events(api)] == ["orders"]


def test_an_ambiguous_api_name_is_400(api: Api) -> None:
    register(api, apis=("maps", "orders"))
    answer = post(api, report())

    assert (answer.status_code, answer.json()["code"]) == (400, "ambiguous_api")
    assert "maps, orders" in answer.json()["detail"]
    assert post(api, report(apiName="maps")).status_code == 202
    assert [event.api for event in events(api)] == ["maps"]


def test_a_subscription_to_every_api_is_ambiguous_when_there_are_several(api: Api) -> None:
    api.admin.post("/v1/plans", json={"name": "gold"})
    for name in ("orders", "maps"):
        api.admin.post("/v1/internal/registerAPIRoute", json={"apiName": name, "apiVersion": "v1"})
    body = {"apiKey": KEY, "customerName": "Acme", "pricingModelName": "gold"}
    assert api.admin.post("/v1/internal/registerAPICustomer", json=body).status_code == 201

    assert post(api, report(time=None)).json()["code"] == "ambiguous_api"
    assert post(api, report(time=None, apiName="maps")).status_code == 202


def test_time_and_units_are_taken(api: Api) -> None:
    register(api)
    post(api, report(time="2026-03-05:06:07:08", units="2.5"))

    (event,) = events(api)
    assert event.time.isoformat() == "2026-03-05T06:07:08+00:00"
    (row,) = usage(api).json()["rows"]
    assert (row["period"], row["calls"], row["units"]) == ("2026-03-05", 1, "2.5")


def test_the_key_is_hashed_before_anything_is_stored(api: Api) -> None:
    register(api)
    secret = "an-unknown-key-of-somebody"
    post(api, report(endPointName=f"/orders?key={secret}", errorDescription=f"{secret} failed"), key=secret)
    post(api, report(httpStatusCode=503, errorCode=secret, errorDescription=f"No such key: {secret}"), key=secret)
    post(api, report(id=f"{secret}-1"), key=secret)
    post(api, report(endPointName=None, apiKey=secret, note=[secret, {secret: 1}]), key=secret)
    post(api, f'{{"apiKey": "{secret}", ', key=secret)

    stored = json.dumps([event.document() for event in events(api)]) + json.dumps(errors(api))
    assert len(events(api)) == 3
    assert len(errors(api)) == 4
    assert fingerprint(secret) in stored
    assert secret not in stored


def test_an_unknown_key_is_kept_visible_and_resolved_when_it_is_registered(api: Api) -> None:
    assert post(api, report(apiName="orders")).status_code == 202
    (error,) = errors(api, internal=True, resolved=False)
    assert (error["code"], error["internal_error_status"]) == ("unknown_api_key", 0)
    assert json.loads(error["input_data"]) == report(apiName="orders")
    assert "not registered" in error["error_message"]
    assert usage(api).status_code == 401

    register(api)
    (row,) = usage(api, details="true").json()["rows"]
    assert (row["apiName"], row["pricePerCall"]) == ("orders", "0.01")


def test_an_unknown_key_is_one_error_however_often_it_is_used(api: Api) -> None:
    for number in range(3):
        post(api, [report(id=f"{number}-{one}") for one in range(3)])

    assert len(events(api)) == 9
    assert len(errors(api)) == 1


def test_an_unknown_route_is_kept_visible_and_resolved_when_it_is_registered(api: Api) -> None:
    register(api)
    assert post(api, report(endPointName="/new")).status_code == 202
    assert [error["code"] for error in errors(api)] == ["unknown_route"]

    route = {"apiName": "orders", "apiVersion": "v1", "endpointName": "/new", "pricePerCall": 2, "currency": "EUR"}
    assert api.admin.post("/v1/internal/registerAPIRoute", json=route).status_code == 201
    (row,) = usage(api, details="true", endPointName="/new").json()["rows"]
    assert row["pricePerCall"] == "2"


def test_a_call_without_a_subscription_is_kept_as_an_internal_error(api: Api) -> None:
    register(api)
    assert post(api, report(apiName="orders", time="2019-12-31T00:00:00Z")).status_code == 202
    assert [error["code"] for error in errors(api, internal=True)] == ["no_subscription"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"[" * 100_000, b"7", b'"text"', b"null", b"[[]]", b"NaN", b'{"a": "\\ud800"}',
        json.dumps(report(httpStatusCode="often")).encode(),
        json.dumps(report(httpStatusCode=10**30)).encode(),
        json.dumps(report(httpStatusCode=1e300)).encode(),
        json.dumps(report(httpStatusCode=[500])).encode(),
        json.dumps(report(timeTakenInMilliSeconds=-1)).encode(),
        json.dumps(report(endPointName={"a": 1})).encode(),
        json.dumps(report(endPointName="x" * 2000)).encode(),
        json.dumps(report(id=["a"])).encode(),
        json.dumps(report(id="x" * 300)).encode(),
        json.dumps(report(time="yesterday")).encode(),
        json.dumps(report(time="9999-12-31T00:00:00Z")).encode(),
        json.dumps(report(units="-1")).encode(),
        json.dumps(report(units="0.0000001")).encode(),
        json.dumps(report(units="NaN")).encode(),
        json.dumps(report(endPointName="\0", units=-1)).encode(),
        json.dumps(report(endPointName="")).encode(),
    ],
)  # fmt: skip
def test_a_malformed_report_is_an_internal_error_and_stops_nothing(api: Api, body: bytes) -> None:
    register(api)
    answer = post(api, body)

    if body == b"[[]]":
        assert answer.json()[0]["status"] == "rejected"
    else:
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    (error,) = errors(api)
    assert (error["is_internal"], error["internal_error_status"]) == (True, 0)
    assert error["error_message"]
    assert error["input_data"] is not None
    assert error["consumer"] == fingerprint(KEY)
    assert post(api, report()).status_code == 202
    assert calls(api) == 1


def test_texts_that_no_database_keeps_are_kept_without_what_is_in_the_way(api: Api) -> None:
    register(api)
    answer = post(
        api, report(id="a\0", endPointName="/a\0b", httpStatusCode=500, errorCode="\0", errorDescription="a\0b")
    )

    assert answer.status_code == 202, answer.text
    (event,) = events(api)
    assert event.route == "/a\ufffdb"
    assert errors(api, internal=False)[0]["description"] == "a\ufffdb"


def test_a_malformed_report_that_is_sent_again_is_one_error(api: Api) -> None:
    for _ in range(2):
        assert post(api, report(id="r1", endPointName=None)).status_code == 400
    assert len(errors(api)) == 1


def test_a_list_that_is_too_long_is_413(api: Api) -> None:
    answer = post(api, [report()] * 10_001)
    assert (answer.status_code, answer.json()["code"]) == (413, "batch_too_large")
    assert events(api) == []


def test_a_body_that_is_too_large_is_413(api: Api) -> None:
    answer = post(api, b"[" + b" " * (16 * 2**20) + b"]")
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_rejected_is_in_the_books(api: Api) -> None:
    register(api)
    post(api, [report(id="a"), report(id="a"), {}])
    (row,) = api.service.events.ledger(recount=True)
    assert (row.received, row.stored, row.duplicate, row.rejected, row.present) == (3, 1, 1, 1, 1)


def test_the_parameters_are_in_the_description_of_the_api(api: Api) -> None:
    document = api.read.get("/openapi.json").json()
    report_schema, many = document["paths"]["/v1/usage"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]["oneOf"]
    assert set(report_schema["required"]) == set(report()) - {"time"}
    assert {"apiName", "errorCode", "errorDescription", "id", "time", "units"} < set(report_schema["properties"])
    assert many == {"type": "array", "items": report_schema}
