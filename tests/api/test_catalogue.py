"""The catalogue over HTTP: resources, pages, idempotency, preconditions, audit."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tollkeeper.api.idempotency import KEPT
from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.store.audit import IdempotentAnswer

if TYPE_CHECKING:
    import httpx

    from api.conftest import Api

ACME = {"name": "Acme", "external_id": "acme"}


def post(api: Api, path: str, body: Any = None, status: int = 201, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = api.admin.post(f"/v1/{path}", json={} if body is None else body, headers=named)
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


def get(api: Api, path: str, status: int = 200) -> dict[str, Any]:
    answer = api.read.get(f"/v1/{path}")
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.fixture
def sold(api: Api) -> Api:
    """An API with a route, a plan and a customer."""
    post(api, "apis", {"name": "orders"})
    api_id = get(api, "apis")["items"][0]["id"]
    post(api, f"apis/{api_id}/versions", {"name": "v1"})
    post(api, "routes", {"api": "orders", "version": "v1", "price": "0.01", "currency": "EUR"})
    post(api, "plans", {"name": "gold", "trial_days": 3})
    post(api, "plans", {"name": "free"})
    post(api, "customers", ACME)
    return api


def test_each_resource_is_made_listed_and_shown(sold: Api) -> None:
    key = post(sold, "keys", {"customer": "acme"})
    one = post(sold, "subscriptions", {"customer": "acme", "plan": "gold", "api": "orders"})
    for collection in ("apis", "routes", "plans", "customers", "keys", "subscriptions"):
        (first, *_) = get(sold, collection)["items"]
        assert get(sold, f"{collection}/{first['id']}") == first
        missing = sold.read.get(f"/v1/{collection}/none")
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")

    assert (one["state"], key["state"]) == ("trial", "active")
    (api,) = get(sold, "apis")["items"]
    assert [version["name"] for version in get(sold, f"apis/{api['id']}/versions")["items"]] == ["v1"]
    assert get(sold, "apis/none/versions", 404)["code"] == "not_found"
    assert get(sold, "routes/none/prices", 404)["code"] == "not_found"
    assert post(sold, "apis/none/versions", {"name": "v2"}, 404)["code"] == "not_found"


def test_what_was_made_is_at_its_location_with_its_etag(sold: Api) -> None:
    answer = sold.admin.post("/v1/customers", json={"name": "Other"})
    shown = sold.read.get(answer.headers["location"])

    assert shown.json() == answer.json()
    assert shown.headers["etag"] == answer.headers["etag"]
    assert shown.headers["cache-control"] == "no-store"


def test_lists_are_filtered(sold: Api) -> None:
    other = post(sold, "customers", {"name": "Other"})["id"]
    post(sold, "keys", {"customer": "acme"})
    key = post(sold, "keys", {"customer": other})
    post(sold, "subscriptions", {"customer": other, "plan": "gold"})
    post(sold, "subscriptions", {"customer": "acme", "plan": "gold"})

    assert [one["name"] for one in get(sold, "customers?external_id=acme")["items"]] == ["Acme"]
    assert [one["id"] for one in get(sold, f"keys?customer={other}")["items"]] == [key["id"]]
    assert [one["id"] for one in get(sold, f"keys?fingerprint={key['fingerprint']}")["items"]] == [key["id"]]
    assert [one["customer"] for one in get(sold, f"subscriptions?customer={other}")["items"]] == [other]
    assert [one["name"] for one in get(sold, "plans?name=free")["items"]] == ["free"]
    assert len(get(sold, "routes?api=orders")["items"]) == 1
    assert get(sold, "customers?external_id=%00")["items"] == []
    assert get(sold, "customers/%00", 404)["code"] == "not_found"
    assert get(sold, "routes?api=none", 422)["code"] == "unprocessable"


def test_pages_follow_their_links(api: Api) -> None:
    made = [post(api, "customers", {"name": f"c{number}"})["id"] for number in range(5)]
    path, seen = "/v1/customers?limit=2", []
    while path:
        answer = api.read.get(path)
        seen += [one["id"] for one in answer.json()["items"]]
        link = answer.headers.get("link", "")
        assert bool(link) == bool(answer.json()["next"])
        path = f"/v1/customers{link[1:].partition('>')[0]}" if link else ""

    assert seen == made
    assert get(api, "customers?limit=0", 400)["code"] == "bad_request"
    assert get(api, "customers?after=zzz")["items"] == []


def test_writing_needs_a_token_that_may_administer(api: Api) -> None:
    for client, status in ((api.anonymous, 401), (api.read, 403), (api.ingest, 403)):
        assert client.post("/v1/customers", json=ACME).status_code == status
        assert client.patch("/v1/customers/none", json={}).status_code == status
    assert api.ingest.get("/v1/customers").status_code == 403
    assert get(api, "customers")["items"] == []


def test_a_session_of_a_browser_reads_and_never_writes(api: Api) -> None:
    admin = next(token for token in api.service.catalog.tokens() if token.scope == "admin")
    session = api.service.access.log_in_by_link(api.service.access.create_login_link(admin))
    cookie = {"Cookie": f"tollkeeper_session={session}"}

    assert api.anonymous.get("/v1/customers", headers=cookie).status_code == 200
    assert api.anonymous.post("/v1/customers", json=ACME, headers=cookie).status_code == 401
    assert get(api, "customers")["items"] == []


def test_a_request_that_is_sent_again_is_done_once(api: Api) -> None:
    answers = [api.admin.post("/v1/customers", json=ACME, headers={"Idempotency-Key": "one"}) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len({answer.headers["etag"] for answer in answers}) == 1
    assert len(get(api, "customers")["items"]) == 1


def test_requests_at_once_with_one_key_are_done_once(api: Api) -> None:
    answers: list[httpx.Response] = []

    def send() -> None:
        answers.append(api.admin.post("/v1/customers", json={"name": "x"}, headers={"Idempotency-Key": "k"}))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.content for answer in answers}) == 1


def test_another_request_with_the_same_key_is_refused(api: Api) -> None:
    post(api, "customers", ACME, Idempotency_Key="one")

    assert post(api, "customers", {"name": "x"}, 422, Idempotency_Key="one")["code"] == "idempotency_key_reused"
    assert post(api, "plans", {"name": "Acme"}, 422, Idempotency_Key="one")["code"] == "idempotency_key_reused"
    assert post(api, "customers", {"name": "x"}, 400, Idempotency_Key="k" * 256)["code"] == "invalid_request"


def test_keys_of_other_tokens_are_others(api: Api) -> None:
    secret = api.service.access.create_token("second", "admin")
    post(api, "customers", {"name": "x"}, Idempotency_Key="one")
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "one"}

    assert api.anonymous.post("/v1/customers", json={"name": "y"}, headers=headers).json()["name"] == "y"


def test_a_failure_is_not_kept(api: Api) -> None:
    post(api, "subscriptions", {"customer": "acme", "plan": "gold"}, 422, Idempotency_Key="one")
    post(api, "customers", ACME)
    post(api, "plans", {"name": "gold"})
    post(api, "subscriptions", {"customer": "acme", "plan": "gold"}, 201, Idempotency_Key="one")


def test_an_answer_with_a_new_key_is_given_again_and_sealed_in_the_store(sold: Api) -> None:
    first = post(sold, "keys", {"customer": "acme"}, Idempotency_Key="one")
    second = post(sold, "keys", {"customer": "acme"}, Idempotency_Key="one")
    with sold.service.catalog.reading() as records:
        (kept,) = records.find(IdempotentAnswer)
        (key,) = records.find(ApiKey)

    assert first == second
    assert first["secret"].startswith("tk_")
    assert first["secret"].encode() not in kept.body
    assert b"secret" not in kept.body
    assert key.id == first["id"]


def test_answers_are_kept_for_a_day(api: Api) -> None:
    post(api, "customers", {"name": "x"}, Idempotency_Key="one")
    with api.service.catalog.writing() as records:
        (kept,) = records.find(IdempotentAnswer)
        records.replace(msgspec.structs.replace(kept, at=kept.at - KEPT))
    post(api, "customers", {"name": "y"}, Idempotency_Key="one")

    assert [one["name"] for one in get(api, "customers")["items"]] == ["x", "y"]


def test_a_change_is_made_only_to_what_was_seen(sold: Api) -> None:
    (customer,) = get(sold, "customers")["items"]
    path = f"/v1/customers/{customer['id']}"
    seen = sold.read.get(path).headers["etag"]
    first = sold.admin.patch(path, json={"email": "a@b.example"}, headers={"If-Match": seen})
    second = sold.admin.patch(path, json={"email": "x@y.example"}, headers={"If-Match": f'"old", {seen}'})

    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (412, "precondition_failed")
    assert get(sold, f"customers/{customer['id']}")["email"] == "a@b.example"
    for tag in (first.headers["etag"], "*"):
        answer = sold.admin.patch(path, json={"address": f"at {len(tag)}"}, headers={"If-Match": tag})
        assert answer.status_code == 200


def test_every_change_takes_a_precondition(sold: Api) -> None:
    post(sold, "subscriptions", {"customer": "acme", "plan": "gold"})
    key = post(sold, "keys", {"customer": "acme"})["id"]
    route, plan, one = (get(sold, name)["items"][0]["id"] for name in ("routes", "plans", "subscriptions"))
    for method, path, body in (
        ("PATCH", f"routes/{route}", {"retired": True}),
        ("PATCH", f"plans/{plan}", {"name": "x"}),
        ("PATCH", f"subscriptions/{one}", {"overrides": {}}),
        ("POST", f"subscriptions/{one}/pause", None),
        ("POST", f"subscriptions/{one}/cancel", {}),
        ("POST", f"subscriptions/{one}/plan", {"plan": "free"}),
        ("POST", f"keys/{key}/revoke", None),
    ):
        answer = sold.admin.request(method, f"/v1/{path}", json=body, headers={"If-Match": '"old"'})
        assert answer.status_code == 412, path


def test_a_subscription_is_led_through_its_life(sold: Api) -> None:
    one = post(sold, "subscriptions", {"customer": "acme", "plan": "gold", "trial_days": 0})["id"]
    path = f"subscriptions/{one}"

    assert post(sold, f"{path}/pause", status=200)["state"] == "paused"
    assert post(sold, f"{path}/pause", status=409)["code"] == "conflict"
    assert post(sold, f"{path}/resume", status=200)["state"] == "active"
    assert [change["plan"] for change in post(sold, f"{path}/plan", {"plan": "free"}, 200)["plans"]] == ["gold", "free"]
    changed = sold.admin.patch(f"/v1/{path}", json={"limits": [{"limit": 5, "period": "day"}]})
    assert changed.json()["limits"] == [{"endpoint": None, "limit": 5, "period": "day"}]
    assert post(sold, f"{path}/cancel", {}, 200)["state"] == "cancelled"
    assert post(sold, f"{path}/cancel", {"at_once": True}, 200)["state"] == "ended"


def test_a_key_is_rotated_and_revoked(sold: Api) -> None:
    first = post(sold, "keys", {"customer": "acme"})
    second = post(sold, f"keys/{first['id']}/rotate", {"overlap": 0})

    assert second["secret"] != first["secret"]
    assert get(sold, f"keys/{first['id']}")["state"] == "expired"
    assert get(sold, f"keys/{first['id']}")["replaced_by"] == second["id"]
    assert post(sold, f"keys/{second['id']}/revoke", status=200)["state"] == "revoked"
    assert all(key["secret"] is None for key in get(sold, "keys")["items"])


def test_prices_and_plans_are_changed(sold: Api) -> None:
    (route,) = get(sold, "routes")["items"]
    post(sold, f"routes/{route['id']}/prices", {"price": "0.02", "currency": "EUR"})
    assert [one["price"] for one in get(sold, f"routes/{route['id']}/prices")["items"]] == ["0.01", "0.02"]
    assert get(sold, f"routes/{route['id']}")["price"] == "0.02"
    retired = sold.admin.patch(f"/v1/routes/{route['id']}", json={"retired": True})
    assert retired.json()["retired_at"]
    (plan, _) = get(sold, "plans")["items"]
    changed = sold.admin.patch(f"/v1/plans/{plan['id']}", json={"kind": "prepaid_volume", "amount": "1000"})
    assert (changed.json()["kind"], changed.json()["amount"]) == ("prepaid_volume", "1000")


def test_the_audit_log_says_who_changed_what(sold: Api) -> None:
    (customer,) = get(sold, "customers")["items"]
    sold.admin.patch(f"/v1/customers/{customer['id']}", json={"name": "New"})
    newest, oldest = get(sold, f"audit?record={customer['id']}")["items"]

    assert (newest["actor"], newest["action"], newest["kind"]) == ("admin", "update", "customer")
    assert (newest["before"]["name"], newest["after"]["name"]) == ("Acme", "New")
    assert oldest["before"] is None
    assert get(sold, "audit?actor=nobody")["items"] == get(sold, "audit?from=2100-01-01")["items"] == []
    assert {entry["kind"] for entry in get(sold, "audit?kind=plan&to=2100-01-01")["items"]} == {"plan"}
    assert get(sold, "audit?from=never", 400)["code"] == "invalid_request"
    link = sold.read.get("/v1/audit?limit=1").headers["link"]
    assert 'rel="next"' in link


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("customers", {}, 400),
        ("customers", {"name": ""}, 400),
        ("customers", {"name": "x", "emal": "x"}, 400),
        ("customers", {"name": "x", "email": "x"}, 400),
        ("customers", {"name": "x", "currency": "eur"}, 400),
        ("customers", {"name": "x", "currency": "EUR\n"}, 400),
        ("routes", {"api": "orders", "version": "v1", "endpoint": "/a", "method": "GET\n"}, 400),
        ("customers", {"name": "x", "time_zone": "Mars"}, 422),
        ("customers", [], 400),
        ("keys", {"customer": "acme", "key": "short"}, 400),
        ("customers", {"name": "a\0b"}, 422),
        ("keys", {"customer": "nobody"}, 422),
        ("keys", {"customer": "\0"}, 422),
        ("plans", {"name": "x", "kind": "other"}, 400),
        ("plans", {"name": "x", "kind": "prepaid_value"}, 422),
        ("plans", {"name": "gold"}, 409),
        ("customers", ACME, 409),
        ("apis", {"name": "orders"}, 409),
        ("routes", {"api": "orders", "version": "v1"}, 409),
        ("routes", {"api": "orders", "version": "v9"}, 422),
        ("routes", {"api": "orders", "version": "v1", "endpoint": "/a", "price": "NaN", "currency": "EUR"}, 422),
        ("subscriptions", {"customer": "acme", "plan": "gold", "started_at": "2026-01-01T00:00:00"}, 400),
    ],
)
def test_what_is_wrong_is_said(sold: Api, path: str, body: Any, status: int) -> None:
    problem = post(sold, path, body, status)

    assert problem["status"] == status
    assert len(problem["detail"]) > 10
    with sold.service.catalog.reading() as records:
        assert len(records.find(Customer)) == 1


def test_the_description_names_every_type_plainly(api: Api) -> None:
    text = api.read.get("/openapi.json").text
    schemas = json.loads(text)["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text))

    assert references <= schemas.keys()
    assert {"CustomerPage", "Customer", "NewCustomer", "KeyViewPage"} <= schemas.keys()
    assert [name for name in schemas if not name.isidentifier()] == []
    parameters = json.loads(text)["paths"]["/v1/customers"]["post"]["parameters"]
    assert [parameter["name"] for parameter in parameters] == ["Idempotency-Key", "If-Match"]
