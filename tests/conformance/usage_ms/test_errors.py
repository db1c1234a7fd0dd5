"""api-usage-ms: errors are listed, filtered, resolved and replayed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.usage_ms.shop import KEY, post, register, report, usage
from tollkeeper.events.fingerprint import fingerprint

if TYPE_CHECKING:
    import httpx

    from support.running import Api

FAILED = {"httpStatusCode": 500, "errorCode": "E17", "errorDescription": "The warehouse is closed."}


def listed(api: Api, /, **query: Any) -> list[dict[str, Any]]:
    answer = api.read.get("/v1/api-errors", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def act(api: Api, error: str, action: str, **body: Any) -> httpx.Response:
    return api.admin.post(f"/v1/api-errors/{error}/{action}", json=body or None)


def replay(api: Api, error: str, **corrections: Any) -> httpx.Response:
    return api.admin.post(f"/v1/api-errors/{error}/replay", json={"corrections": corrections})


def calls(api: Api) -> int:
    return sum(row["calls"] for row in usage(api).json()["rows"])


def test_errors_are_listed_newest_first_and_filtered(api: Api) -> None:
    register(api)
    post(api, report(time="2026-03-01T00:00:00Z", **FAILED))
    post(api, report(time="2026-03-02T00:00:00Z", endPointName="/new", **FAILED | {"errorCode": "E18"}))
    post(api, report(endPointName=None))

    assert [error["code"] for error in listed(api)] == ["missing_parameter", "unknown_route", "E18", "E17"]
    assert [error["code"] for error in listed(api, internal=True)] == ["missing_parameter", "unknown_route"]
    day = {"from": "2026-03-02", "to": "2026-03-03"}
    assert [error["code"] for error in listed(api, internal=False, **day)] == ["E18"]
    assert [error["endpoint"] for error in listed(api, code="E17", api="orders", api_version="v1")] == ["/orders"]
    assert len(listed(api, consumer=fingerprint(KEY), endpoint="/new")) == 2
    assert listed(api, resolved=True) == []
    page = api.read.get("/v1/api-errors?limit=3")
    rest = api.read.get("/v1/api-errors" + page.headers["link"].partition(">")[0].removeprefix("<"))
    assert [error["code"] for error in rest.json()["items"]] == ["E17"]


def test_an_error_is_resolved_once_and_by_whom_is_in_the_audit_log(api: Api) -> None:
    register(api)
    post(api, report(**FAILED))
    (error,) = listed(api, resolved=False)
    answers = [act(api, error["id"], "resolve") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].text == answers[1].text
    assert answers[0].json()["resolved_at"]
    assert listed(api, resolved=False) == []
    assert [one["id"] for one in listed(api, resolved=True)] == [error["id"]]
    assert api.read.get(f"/v1/api-errors/{error['id']}").json()["internal_error_status"] == 1
    (entry,) = api.read.get("/v1/audit", params={"record": error["id"]}).json()["items"]
    assert (entry["actor"], entry["kind"], entry["before"]["resolved_at"]) == ("admin", "api_error", None)


def test_a_cause_that_comes_again_after_it_was_resolved_is_another_error(api: Api) -> None:
    post(api, report())
    (error,) = listed(api)
    act(api, error["id"], "resolve")
    post(api, report())
    assert len(listed(api)) == 2
    assert len(listed(api, resolved=False)) == 1


def test_what_was_ambiguous_is_replayed_when_it_is_mended_and_counted_once(api: Api) -> None:
    customer = register(api, apis=("orders", "maps"))
    assert post(api, report(id="r1")).json()["code"] == "ambiguous_api"
    (error,) = listed(api)
    still = replay(api, error["id"])
    assert (still.status_code, still.json()["code"]) == (422, "replay_failed")
    assert listed(api, resolved=False)

    body = {"customer": customer, "apiName": "maps"}
    assert api.admin.post("/v1/internal/unsubscribe", json=body).status_code == 200
    assert replay(api, error["id"], time="2026-03-11T00:00:00Z", apiName="orders").status_code == 200
    assert replay(api, error["id"], apiName="orders").status_code == 200
    assert post(api, report(id="r1", apiName="orders")).status_code == 202
    assert calls(api) == 1
    assert listed(api, resolved=False) == []


def test_a_report_of_an_unknown_key_is_replayed_when_the_key_is_registered(api: Api) -> None:
    post(api, report(id="r1", apiName="orders"))
    (error,) = listed(api)
    still = replay(api, error["id"])
    assert (still.status_code, still.json()["code"]) == (409, "replay_failed")
    assert "not registered" in still.json()["detail"]

    register(api)
    assert replay(api, error["id"]).status_code == 200
    assert calls(api) == 1
    assert listed(api, resolved=False) == []


def test_a_malformed_report_is_replayed_with_what_was_missing(api: Api) -> None:
    register(api)
    post(api, report(id="r1", httpStatusCode=None))
    (error,) = listed(api)
    assert json.loads(error["input_data"]) == report(id="r1", httpStatusCode=None)

    assert replay(api, error["id"]).json()["detail"].endswith("Missing: httpStatusCode.")
    assert replay(api, error["id"], httpStatusCode=503, errorCode="E1", errorDescription="Closed.").status_code == 200
    assert post(api, report(id="r1")).json() == {"id": "r1", "status": "recorded"}
    assert calls(api) == 1
    (reported,) = listed(api, internal=False)
    assert (reported["code"], reported["description"]) == ("E1", "Closed.")


def test_a_report_without_a_key_is_replayed_with_one(api: Api) -> None:
    register(api)
    post(api, report(), key=None)
    (error,) = listed(api)
    assert replay(api, error["id"], apiKey=KEY).status_code == 200
    assert calls(api) == 1
    assert KEY not in api.read.get("/v1/audit").text + api.read.get("/v1/api-errors").text


def test_what_was_no_json_is_replayed_from_corrections(api: Api) -> None:
    register(api)
    post(api, b"{")
    (error,) = listed(api)
    assert replay(api, error["id"]).status_code == 422
    assert replay(api, error["id"], **report()).status_code == 200
    assert calls(api) == 1


def test_another_cause_that_a_replay_brings_to_light_is_an_error_of_its_own(api: Api) -> None:
    register(api)
    post(api, report(endPointName=None))
    (error,) = listed(api)
    assert replay(api, error["id"], endPointName="/new").status_code == 200
    assert [one["code"] for one in listed(api, resolved=False)] == ["unknown_route"]


def test_what_an_api_reported_has_nothing_to_replay(api: Api) -> None:
    register(api)
    post(api, report(**FAILED))
    (error,) = listed(api)
    assert replay(api, error["id"]).status_code == 409


@pytest.mark.parametrize("action", ["resolve", "replay"])
def test_who_may(api: Api, action: str) -> None:
    post(api, report())
    (error,) = listed(api)
    path = f"/v1/api-errors/{error['id']}/{action}"
    assert api.anonymous.post(path, json={}).status_code == 401
    assert api.read.post(path, json={}).status_code == 403
    assert api.anonymous.get("/v1/api-errors").status_code == 401
    assert api.admin.post(f"/v1/api-errors/err_none/{action}", json={}).status_code == 404
    assert api.read.get("/v1/api-errors/err_none").status_code == 404


def test_a_report_that_was_too_long_to_keep_is_replayed_from_corrections(api: Api) -> None:
    register(api)
    post(api, report(endPointName="x" * 20_000))
    (error,) = listed(api)
    assert len(error["input_data"]) < 20_000
    assert replay(api, error["id"], endPointName="/orders").status_code == 422
    assert replay(api, error["id"], **report()).status_code == 200
    assert calls(api) == 1
