from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.gate_shop import KEY, made, sell
from support.stores import run_sql

if TYPE_CHECKING:
    import httpx

    from api.conftest import Api

MONTHLY = {"limit": 3, "period": "month"}


def check(api: Api, headers: dict[str, str] | None = None, /, **body: Any) -> httpx.Response:
    return api.anonymous.post("/v1/gate/check", json={"key": KEY} | body, headers=headers)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = answer.json()
    return problem


def test_a_call_within_its_quota_is_admitted_and_counted(api: Api) -> None:
    sell(api.admin, limits=[MONTHLY])
    first, second = check(api, api="orders", endpoint="/orders", method="GET"), check(api)
    assert first.status_code == 200
    assert first.headers["content-type"] == "application/json"
    assert first.headers["cache-control"] == "no-store"
    (limit,) = first.json().pop("limits")
    assert {name: first.json()[name] for name in ("customer", "plan")} == {"customer": "Acme", "plan": "gold"}
    assert "hold" not in first.json()
    assert (limit["name"], limit["limit"], limit["remaining"]) == ("all month", 3, 2)
    assert 0 < limit["seconds"] <= 31 * 86_400
    assert second.json()["limits"][0]["remaining"] == 1


def test_admissions_and_denials_say_where_the_limits_stand(api: Api) -> None:
    sell(api.admin, limits=[MONTHLY, {"limit": 50, "period": "day", "endpoint": "/orders"}])
    answers = [check(api, endpoint="/orders") for _ in range(4)]
    for answer, left in zip(answers, (2, 1, 0, 0), strict=True):
        policies, states = answer.headers["ratelimit-policy"], answer.headers["ratelimit"]
        assert policies.startswith('"all month";q=3;w=2')
        assert policies.endswith(', "/orders day";q=50;w=86400')
        assert states.startswith(f'"all month";r={left};t=')
        assert states.partition(", ")[2].startswith(f'"/orders day";r={max(47, 47 + left)};t=')
    problem = refused(answers[-1], 429, "quota_exceeded")
    assert problem["title"] == "Too Many Requests"
    assert "all month" in problem["detail"]
    assert answers[-1].headers["retry-after"] == str(problem["retry_after"])
    assert 0 < problem["retry_after"] <= 31 * 86_400


def test_without_limits_there_are_no_headers(api: Api) -> None:
    sell(api.admin)
    answer = check(api, reserve=True)
    assert answer.json() == {"customer": "Acme", "plan": "gold"}
    assert not {"ratelimit", "ratelimit-policy", "retry-after"} & set(answer.headers)


def test_the_key_comes_in_the_body_or_in_a_header(api: Api) -> None:
    sell(api.admin)
    for headers in ({"apiKey": KEY}, {"APIKEY": KEY}, {"Authorization": f"Bearer {KEY}"}):
        assert api.anonymous.post("/v1/gate/check", headers=headers).status_code == 200
        assert api.anonymous.post("/v1/gate/check", json={}, headers=headers).status_code == 200
        assert check(api, headers, key="nobody-has-this-key").status_code == 401, "the body goes first"
    assert check(api, {"Authorization": "Bearer other", "apiKey": "other"}).status_code == 200


def test_denials_say_why(api: Api) -> None:
    subscription = sell(api.admin)
    refused(api.anonymous.post("/v1/gate/check", json={}), 401, "unknown_api_key")
    unknown = check(api, key="nobody-has-this-key")
    refused(unknown, 401, "unknown_api_key")
    assert unknown.headers["www-authenticate"].startswith("Bearer")
    refused(check(api, api="others"), 403, "no_subscription")
    refused(check(api, endpoint="/nothing"), 403, "unknown_route")
    assert check(api).status_code == 200
    assert api.admin.post(f"/v1/subscriptions/{subscription}/pause").status_code == 200
    refused(check(api), 403, "no_subscription")
    (key,) = api.admin.get("/v1/keys").json()["items"]
    assert api.admin.post(f"/v1/keys/{key['id']}/revoke").status_code == 200
    refused(check(api), 401, "api_key_revoked")


def test_several_apis_need_a_name(api: Api) -> None:
    sell(api.admin)
    made(api.admin, "/v1/apis", {"name": "stock"})
    (customer,) = api.admin.get("/v1/customers").json()["items"]
    made(api.admin, "/v1/subscriptions", {"customer": customer["id"], "plan": "gold", "api": "stock"})
    refused(check(api), 400, "ambiguous_api")
    assert check(api, api="stock").status_code == 200


def test_a_rate_says_when_to_come_again(api: Api) -> None:
    sell(api.admin, rates=[{"rate": 1, "per": "minute"}])
    assert check(api).status_code == 200
    late = check(api)
    problem = refused(late, 429, "rate_limited")
    assert 1 <= problem["retry_after"] <= 60
    assert late.headers["ratelimit-policy"] == '"all per minute";q=1;w=60'
    never = check(api, units=2)
    assert "retry_after" not in refused(never, 429, "rate_limited")
    assert "retry-after" not in never.headers


def test_units_count(api: Api) -> None:
    sell(api.admin, limits=[MONTHLY])
    for units, left in ((0, 3), (0.5, 2), ("1.25", 1), (1, 0)):
        answer = check(api, units=units)
        assert answer.json()["limits"][0]["remaining"] == left
    refused(check(api, units=0.3), 429, "quota_exceeded")
    assert check(api, units=0.25).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"7",
        b"[]",
        b'{"key": 7}',
        b'{"units": -1}',
        b'{"units": 0.0000001}',
        b'{"units": 1000000}',
        b'{"units": "NaN"}',
        b'{"units": "Infinity"}',
        b'{"units": "1e999999999"}',
        b'{"units": null}',
        b'{"reserve": "yes"}',
        b'{"reserved": true}',
        b'{"endpoint": "/a\\u0000b"}',
        b'{"method": "' + b"x" * 300 + b'"}',
    ],
)
def test_a_body_that_is_wrong_is_said_to_be(api: Api, body: bytes) -> None:
    answer = api.anonymous.post("/v1/gate/check", content=body)
    assert len(refused(answer, 400, "invalid_request")["detail"]) > 10


def test_what_only_looks_like_a_nul_is_none(api: Api) -> None:
    sell(api.admin)
    refused(check(api, endpoint=r"/\u0000"), 403, "unknown_route")
    take = {"consumer": r"\u0000"}
    assert api.ingest.post("/v1/gate/leases", json={"take": [take]}).json()["grants"][0]["denial"]["status"] == 401


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"key": "\\ud800"}', b"{}x"])
def test_a_body_that_is_no_json(api: Api, body: bytes) -> None:
    refused(api.anonymous.post("/v1/gate/check", content=body), 400, "invalid_json")


def test_a_body_that_is_too_large(api: Api) -> None:
    refused(api.anonymous.post("/v1/gate/check", content=b" " * 20_000), 413, "body_too_large")
    chunks = iter([b" " * 10_000] * 2)
    refused(api.anonymous.post("/v1/gate/check", content=chunks), 413, "body_too_large")


def test_what_is_reserved_and_not_made_is_given_back(api: Api) -> None:
    sell(api.admin, limits=[MONTHLY])
    reserved = check(api, units=2, reserve=True).json()
    assert reserved["hold_seconds"] == api.service.settings.reservation_seconds
    assert reserved["limits"][0]["remaining"] == 1
    refused(check(api, units=2), 429, "quota_exceeded")
    for _ in range(2):
        answer = api.ingest.delete(f"/v1/gate/holds/{reserved['hold']}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert check(api, units=2).json()["limits"][0]["remaining"] == 1


def test_only_who_may_ingest_gives_back(api: Api) -> None:
    sell(api.admin, limits=[MONTHLY])
    hold = check(api, units=3, reserve=True).json()["hold"]
    assert api.anonymous.delete(f"/v1/gate/holds/{hold}", headers={"apiKey": KEY}).status_code == 401
    assert api.read.delete(f"/v1/gate/holds/{hold}").status_code == 403
    refused(check(api), 429, "quota_exceeded")
    for other in ("nothing", "%00", "x" * 2_000):
        assert api.admin.delete(f"/v1/gate/holds/{other}").status_code == 204


def test_leases_are_taken_used_and_given_back(api: Api) -> None:
    sell(api.admin, limits=[{"limit": 100, "period": "month"}])
    (key,) = api.admin.get("/v1/keys").json()["items"]
    take = {"consumer": key["fingerprint"], "api": "orders", "endpoint": "/orders", "units": 10_000_000}
    answer = api.ingest.post("/v1/gate/leases", json={"take": [take]})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    (grant,) = answer.json()["grants"]
    assert (grant["units"], grant["customer"], grant["plan"]) == (10_000_000, "Acme", "gold")
    assert check(api, units=0).json()["limits"][0]["remaining"] == 90
    settle = {"lease": grant["lease"], "used": 4_000_000, "release": True}
    for _ in range(2):
        settled = api.ingest.post("/v1/gate/leases", json={"settle": [settle]})
        assert settled.status_code == 200
        assert settled.json().get("grants", []) == []
    assert check(api, units=0).json()["limits"][0]["remaining"] == 96


def test_an_app_hears_of_changes_by_the_revision(api: Api) -> None:
    sell(api.admin)
    first, second = (api.ingest.post("/v1/gate/leases", json={}).json()["revision"] for _ in range(2))
    assert first == second
    made(api.admin, "/v1/customers", {"name": "Other"})
    assert api.ingest.post("/v1/gate/leases", json={}).json()["revision"] != first


def test_leases_need_the_scope_and_a_request_that_is_well_formed(api: Api) -> None:
    assert api.anonymous.post("/v1/gate/leases", json={}).status_code == 401
    assert api.anonymous.post("/v1/gate/leases", json={}, headers={"apiKey": KEY}).status_code == 401
    assert api.read.post("/v1/gate/leases", json={}).status_code == 403
    wrong: list[Any] = [
        {"take": [{}]},
        {"take": [{"consumer": 7}]},
        {"take": [{"consumer": "c", "units": -1}]},
        {"take": [{"consumer": "c", "units": 2**63}]},
        {"take": [{"consumer": "a\0b"}]},
        {"take": [{"consumer": "c"}] * 1_001},
        {"settle": [{"lease": "l"}]},
        {"settle": [{"lease": "a\0b", "used": 1}]},
        [],
    ]
    for body in wrong:
        answer = api.ingest.post("/v1/gate/leases", json=body)
        assert answer.status_code == 400, (body, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert api.ingest.post("/v1/gate/leases", content=b" " * (5 * 2**20)).status_code == 413


def test_a_changed_limit_holds_at_once(api: Api) -> None:
    subscription = sell(api.admin, limits=[{"limit": 1, "period": "month"}])
    assert check(api).status_code == 200
    refused(check(api), 429, "quota_exceeded")
    patch = {"overrides": {"limits": [{"limit": 2, "period": "month"}]}}
    answer = api.admin.patch(f"/v1/subscriptions/{subscription}", json=patch)
    assert answer.status_code == 200, answer.text
    assert check(api).status_code == 200
    refused(check(api), 429, "quota_exceeded")


def test_what_cannot_be_decided_is_as_the_plan_says(api: Api) -> None:
    sell(api.admin, limits=[MONTHLY])
    sell(api.admin, key="the-key-of-a-strict-one", limits=[MONTHLY], on_failure="deny")
    sell(api.admin, key="the-key-of-somebody-new", limits=[MONTHLY])
    strict, new = ({"key": f"the-key-of-{name}"} for name in ("a-strict-one", "somebody-new"))
    assert [check(api, **body).status_code for body in ({}, strict)] == [200, 200]
    run_sql(api.service.settings.store, "ALTER TABLE quota_counter RENAME TO elsewhere")
    lenient = check(api)
    assert (lenient.status_code, lenient.json()) == (200, {"customer": "Acme", "plan": "gold"})
    for _ in range(2):
        denied = check(api, **strict)
        refused(denied, 503, "store_unavailable")
        assert denied.headers["retry-after"] == "1"
    run_sql(api.service.settings.store, "ALTER TABLE elsewhere RENAME TO quota_counter")
    for body in ({}, strict, new):
        assert check(api, **body).status_code == 200
    assert check(api, units=0).json()["limits"][0]["remaining"] == 1, "what was let through was not counted"


def test_many_at_once_get_what_there_is(api: Api) -> None:
    sell(api.admin, limits=[{"limit": 40, "period": "day"}])
    statuses: list[int] = []

    def ask() -> None:
        statuses.extend(check(api).status_code for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 40 + [429] * 40


def test_the_description_has_the_gate(api: Api) -> None:
    schema = api.read.get("/openapi.json").json()
    operation = schema["paths"]["/v1/gate/check"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/CheckRequest")
    assert set(operation["responses"]["200"]["headers"]) == {"RateLimit", "RateLimit-Policy"}
    assert operation["responses"]["default"]["content"]["application/problem+json"]
    assert set(schema["paths"]) >= {"/v1/gate/leases", "/v1/gate/holds/{hold}", "/v1/validateRequest"}
