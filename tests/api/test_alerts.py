"""Rules, channels and messages over HTTP."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks.webhooks import Webhook

from support.receiver import Receiver
from support.running import Api, running
from tollkeeper.service.alerts.delivery import deliver
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder: Path = tmp_path_factory.mktemp("alerts")
    with running(Settings(store=f"sqlite:///{folder}/store.db", webhook_private=True)) as api:
        yield api


def make(api: Api, path: str, body: dict[str, Any], status: int = 201, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = api.admin.post(f"/v1/alerts/{path}", json=body, headers=named)
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


def show(api: Api, path: str) -> httpx.Response:
    answer = api.read.get(f"/v1/alerts/{path}")
    assert answer.status_code == 200, answer.text
    return answer


def channel(api: Api, name: str, address: str = "ops@shop.example", **given: Any) -> dict[str, Any]:
    kind = "webhook" if "://" in address else "email"
    return make(api, "channels", {"name": name, "kind": kind, "address": address} | given)


def test_a_secret_is_in_the_answer_to_its_maker_and_nowhere_else(api: Api) -> None:
    body = {"name": "hook", "kind": "webhook", "address": "https://hooks.example/T0/B0"}
    made = make(api, "channels", body, Idempotency_Key="hook-1")
    assert made["secret"].startswith("whsec_")
    assert make(api, "channels", body, Idempotency_Key="hook-1") == made
    assert api.admin.get(f"/v1/alerts/channels/{made['id']}").json() == made | {"secret": None}
    rotated = make(api, f"channels/{made['id']}/rotate", {"overlap": 60})
    assert rotated["secret"] not in {made["secret"], None}
    everything = api.admin.get("/v1/alerts/channels").text + api.admin.get("/v1/audit").text
    assert made["secret"] not in everything
    assert rotated["secret"] not in everything
    assert "hooks.example" in api.read.get("/v1/audit").text
    assert "T0/B0" not in api.read.get("/v1/audit").text  # to know the address is enough to write to a chat


def test_rules_are_made_listed_changed_and_taken_away(api: Api) -> None:
    channel(api, "for rules")
    made = make(api, "rules", {"name": "slow", "kind": "latency", "threshold": "0.5", "channels": ["for rules"]})
    answer = show(api, f"rules/{made['id']}")
    assert answer.json() == made
    assert made in show(api, "rules?kind=latency").json()["items"]
    path, tag = f"/v1/alerts/rules/{made['id']}", answer.headers["ETag"]
    changed = api.admin.patch(path, json={"minutes": 15, "paused": True}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["minutes"], changed.json()["paused"]) == (200, 15, True)
    for method in ("PATCH", "DELETE"):
        stale = api.admin.request(method, path, headers={"If-Match": tag}, json={} if method == "PATCH" else None)
        assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    key = {"If-Match": changed.headers["ETag"], "Idempotency-Key": "away"}
    for _ in range(2):
        gone = api.admin.delete(path, headers=key)
        assert (gone.status_code, gone.content) == (204, b"")
    assert api.admin.delete(path).status_code == 404


def test_channels_are_changed_and_taken_away(api: Api) -> None:
    made = channel(api, "moving")
    path = f"/v1/alerts/channels/{made['id']}"
    moved = api.admin.patch(path, json={"address": "boss@shop.example"})
    assert (moved.status_code, moved.json()["address"]) == (200, "boss@shop.example")
    assert api.admin.get("/v1/alerts/channels?name=moving").json()["items"] == [moved.json()]
    assert api.admin.post(f"{path}/rotate", json={}).status_code == 409
    assert api.admin.delete(path).status_code == 204
    assert api.admin.get(path).status_code == 404


def test_a_test_is_delivered_and_a_dead_message_tried_again(api: Api) -> None:
    receiver = Receiver()
    try:
        made = channel(api, "tried", receiver.url)
        receiver.replies = [(410, {}, b"")]
        answer = api.admin.post(f"/v1/alerts/channels/{made['id']}/test")
        assert answer.status_code == 201
        message = answer.json()
        assert (message["state"], message["kind"], message["channel"]) == ("pending", "test", "tried")
        assert answer.headers["Location"] == f"/v1/alerts/messages/{message['id']}"
        now = datetime.now(UTC) + timedelta(seconds=1)
        deliver(api.service, now)
        dead = show(api, f"messages/{message['id']}").json()
        assert (dead["state"], dead["attempts"], dead["error"]) == ("dead", 1, "It answered 410.")
        assert show(api, f"messages?state=dead&channel={made['id']}").json()["items"] == [dead]
        again = api.admin.post(f"/v1/alerts/messages/{message['id']}/retry")
        assert (again.status_code, again.json()["state"]) == (200, "pending")
        assert deliver(api.service, now + timedelta(seconds=1)) == 1
        assert show(api, f"messages/{message['id']}").json()["state"] == "delivered"
        assert api.admin.post(f"/v1/alerts/messages/{message['id']}/retry").status_code == 409
        for taken in receiver.requests:
            Webhook(made["secret"]).verify(taken.body, dict(taken.headers.items()))
    finally:
        receiver.stop()


def test_messages_are_paged_newest_first(api: Api) -> None:
    made = channel(api, "paged")
    sent = [api.admin.post(f"/v1/alerts/channels/{made['id']}/test").json()["id"] for _ in range(5)]
    found: list[str] = []
    path: str | None = f"messages?channel={made['id']}&limit=2"
    while path:
        answer = show(api, path)
        found += [message["id"] for message in answer.json()["items"]]
        path = f"messages{answer.links['next']['url']}" if "next" in answer.links else None
    assert found == sent[::-1]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("channels", {"name": "x", "kind": "email", "address": "a@b\r\nBcc: c@d"}, 422),
        ("channels", {"name": "x", "kind": "webhook", "address": "http://169.254.169.254/"}, 422),
        ("channels", {"name": "x", "kind": "pigeon", "address": "a@b"}, 400),
        ("rules", {"name": "x", "kind": "error_rate", "channels": []}, 422),
        ("rules", {"name": "x", "kind": "silence", "channels": ["nobody"]}, 422),
        ("rules", {"name": "x", "kind": "noise", "channels": []}, 400),
    ],
)
def test_what_makes_no_sense_is_a_problem(api: Api, path: str, body: dict[str, Any], status: int) -> None:
    answer = api.admin.post(f"/v1/alerts/{path}", json=body)
    assert answer.status_code in {status, 400}
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["rules", "channels", "messages"])
def test_only_those_who_may_see_and_change(api: Api, path: str) -> None:
    assert api.anonymous.get(f"/v1/alerts/{path}").status_code == 401
    assert api.ingest.get(f"/v1/alerts/{path}").status_code == 403
    assert api.read.get(f"/v1/alerts/{path}").status_code == (403 if path == "channels" else 200)
    if path != "messages":
        assert api.read.post(f"/v1/alerts/{path}", json={}).status_code == 403


def test_a_key_that_the_gate_turns_away_is_told_of(api: Api) -> None:
    made = channel(api, "gate")
    rule = make(api, "rules", {"name": "denied", "kind": "invalid_subscription", "channels": [made["id"]]})
    customer = api.admin.post("/v1/customers", json={"name": "Acme"}).json()["id"]
    api.admin.post("/v1/keys", json={"customer": customer, "key": "the-key-of-acme-0001"})
    for _ in range(3):
        for key in ("the-key-of-acme-0001", "a-key-of-nobody-0001"):
            assert api.anonymous.post("/v1/gate/check", json={}, headers={"apiKey": key}).status_code in {401, 403}
    deadline = time.monotonic() + 10
    while len(found := show(api, f"messages?rule={rule['id']}").json()["items"]) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    documents = [message["document"] for message in found]
    assert sorted(document["code"] for document in documents) == ["no_subscription", "unknown_api_key"]
    assert {document["customer_name"] for document in documents} == {"Acme", None}
    assert "a-key-of-nobody" not in str(documents)
