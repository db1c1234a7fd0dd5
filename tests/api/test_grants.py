"""Limits of plans and grants over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.stores import store_url
from tollkeeper.billing.limit import QuotaGrant
from tollkeeper.settings import Settings
from tollkeeper.store.audit import AuditEntry

if TYPE_CHECKING:
    from pathlib import Path

    from api.conftest import Api

GOLD = {
    "name": "gold",
    "limits": [
        {"limit": 1000, "carry_over": 100, "anchor": "2026-01-31T00:00:00+01:00"},
        {"limit": 5, "period": "day", "api": "orders", "endpoint": "/a", "hard": False},
    ],
    "rates": [{"rate": 10, "burst": 20}],
    "on_failure": "deny",
}


@pytest.fixture(params=["memory", "sqlite"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(store=store_url(request.param, tmp_path))


@pytest.fixture
def subscription(api: Api) -> str:
    """The path of a subscription to a plan with limits."""
    for path, body in (("plans", GOLD), ("customers", {"name": "Acme", "external_id": "acme"})):
        assert api.admin.post(f"/v1/{path}", json=body).status_code == 201
    answer = api.admin.post("/v1/subscriptions", json={"customer": "acme", "plan": "gold"})
    return str(answer.headers["location"])


def test_a_plan_says_its_limits_and_they_change_while_it_is_in_use(api: Api, subscription: str) -> None:
    (plan,) = api.read.get("/v1/plans").json()["items"]
    assert plan["limits"] == [
        {"limit": 1000, "anchor": "2026-01-31T00:00:00+01:00", "carry_over": 100},
        {"limit": 5, "period": "day", "api": "orders", "endpoint": "/a", "hard": False},
    ]
    assert (plan["rates"], plan["on_failure"]) == ([{"rate": 10, "burst": 20}], "deny")
    path = f"/v1/plans/{plan['id']}"
    seen = api.read.get(path)
    assert seen.json() == plan

    changed = api.admin.patch(path, json={"limits": [{"limit": 7}]}, headers={"If-Match": seen.headers["etag"]})
    assert (changed.status_code, changed.json()) == (200, plan | {"limits": [{"limit": 7}]})
    assert api.admin.patch(path, json={"name": "silver"}, headers={"If-Match": seen.headers["etag"]}).status_code == 412
    assert api.read.get(subscription).json()["plan"] == "gold"


def test_what_a_plan_may_not_say(api: Api) -> None:
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({"limits": [{"limit": -1}]}, 400, "limits[0].limit"),
        ({"limits": [{"limit": 2**53 + 1}]}, 400, "limits[0].limit"),
        ({"limits": [{"limit": 1, "period": "decade"}]}, 400, "decade"),
        ({"limits": [{"limit": 1}, {"limit": 2}]}, 422, "'all month'"),
        ({"limits": [{"limit": None}]}, 422, "without a figure"),
        ({"limits": [{"limit": 1, "period": "billing", "anchor": "2026-01-01T00:00:00Z"}]}, 422, "anchor"),
        ({"limits": [{"limit": 1}] * 101}, 400, "100"),
        ({"rates": [{"rate": 100_001}]}, 400, "rates[0].rate"),
        ({"rates": [{"rate": 1, "burst": 0}]}, 400, "rates[0].burst"),
        ({"on_failure": "ask"}, 400, "ask"),
        ({"body": {}}, 400, "body"),
    ]
    for body, status, said in wrong:
        answer = api.admin.post("/v1/plans", json={"name": "x"} | body)
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    assert api.read.get("/v1/plans").json()["items"] == []


def test_overrides_of_limits_are_checked(api: Api, subscription: str) -> None:
    overrides = {"limits": [{"limit": None}], "rates": [{"rate": 0}], "on_failure": "admit", "floor": "1"}
    assert api.admin.patch(subscription, json={"overrides": overrides}).json()["overrides"] == overrides

    refused = api.admin.patch(subscription, json={"overrides": {"limits": [{"limit": "7"}]}})
    assert (refused.status_code, refused.json()["code"]) == (422, "unprocessable")
    assert "`overrides.limits[0].limit`" in refused.json()["detail"]
    assert api.read.get(subscription).json()["overrides"] == overrides


def test_units_are_granted_once_listed_shown_and_taken_back(api: Api, subscription: str) -> None:
    path = f"{subscription}/grants"
    wanted = {"limit": "orders /a day", "units": "2.5", "note": "sorry"}
    answers = [api.admin.post(path, json=wanted, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    made: dict[str, Any] = answers[0].json()

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].json() == made
    assert (made["limit"], made["units"], made["note"]) == ("orders /a day", "2.5", "sorry")
    assert made["period"]["start"] <= made["at"] < made["period"]["end"]
    assert api.read.get(answers[0].headers["location"]).json() == made
    second = api.admin.post(path, json={"limit": "all month", "units": 1}).json()
    first_page = api.read.get(f"{path}?limit=1")
    assert first_page.json() == {"items": [made], "next": made["id"]}
    assert api.read.get(f"{path}?after={made['id']}").json() == {"items": [second], "next": None}

    one = f"{path}/{made['id']}"
    assert api.admin.delete(one, headers={"If-Match": '"old"'}).status_code == 412
    deleted = [api.admin.delete(one, headers={"Idempotency-Key": "two"}) for _ in range(2)]
    assert [(answer.status_code, answer.content) for answer in deleted] == [(204, b"")] * 2
    assert api.admin.delete(one).status_code == api.read.get(one).status_code == 404
    assert api.read.get(path).json()["items"] == [second]
    with api.service.catalog.reading() as records:
        assert len(records.find(QuotaGrant)) == 1
        entries = records.find(AuditEntry, record=made["id"])
    assert [(entry.actor, entry.action, entry.kind) for entry in entries] == [
        ("admin", "create", "quota_grant"),
        ("admin", "delete", "quota_grant"),
    ]


def test_who_may_grant_and_what(api: Api, subscription: str) -> None:
    path = f"{subscription}/grants"
    wanted = {"limit": "all month", "units": 1}
    assert [client.post(path, json=wanted).status_code for client in (api.anonymous, api.read)] == [401, 403]
    assert api.read.delete(f"{path}/x").status_code == 403
    assert api.admin.post("/v1/subscriptions/none/grants", json=wanted).status_code == 404
    assert api.read.get("/v1/subscriptions/none/grants").status_code == 404
    unknown = api.admin.post(path, json=wanted | {"limit": "all year"})
    assert (unknown.status_code, "'all month'" in unknown.json()["detail"]) == (422, True)
    assert api.admin.post(path, json=wanted | {"units": "-1"}).status_code == 422
    assert api.admin.post(path, json=wanted | {"at": "2026-01-01T00:00:00"}).status_code == 400
    assert api.read.get(path).json() == {"items": [], "next": None}
