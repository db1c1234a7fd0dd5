"""Decisions of the gate: who may call what, by keys, subscriptions and routes as they are now."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.gated import DAY, UNIT, Client, Gated
from support.stores import run_sql, store_url
from tollkeeper.errors import StoreError
from tollkeeper.service.gate import Decision, Gate, GateCall
from tollkeeper.service.keys import NewKey
from tollkeeper.service.subscription_life import cancel, set_paused
from tollkeeper.service.subscriptions import NewSubscription, subscribe

if TYPE_CHECKING:
    from pathlib import Path


SECOND = 1_000_000


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, None),
        ({"api": "orders", "api_version": "v1", "endpoint": "/orders", "method": "GET"}, None),
        ({"endpoint": "/none"}, "unknown_route"),
        ({"endpoint": "/orders", "api_version": "v9"}, "unknown_route"),
        ({"api": "maps"}, "no_subscription"),
        ({"api": "none"}, "no_subscription"),
        ({"endpoint": "\0\ud800"}, "unknown_route"),
    ],
)
def test_a_call_must_be_subscribed_to(gated: Gated, values: dict[str, Any], code: str | None) -> None:
    assert gated.code(gated.client(limits=[{"limit": 9}]), **values) == code


def test_an_api_without_routes_takes_any_endpoint(gated: Gated) -> None:
    client = gated.client(api="maps", limits=[{"limit": 9}])
    assert gated.code(client, endpoint="/any") is None
    decision = gated.ask(client, endpoint="\0\ud800", reserve=True)[0]
    assert gated.holds(decision.hold)[decision.hold or ""].endpoint is None


def test_a_subscription_to_everything_covers_each_api(gated: Gated) -> None:
    client = gated.client(api=None)
    assert gated.code(client, api="maps", endpoint="/any") is None
    assert gated.code(client, api="orders", endpoint="/none") == "unknown_route"
    (refused,) = gated.ask(client)
    assert refused.denial is not None
    assert (refused.denial.status, refused.denial.code) == (400, "ambiguous_api")
    assert "maps, orders" in refused.denial.detail


def test_nobody_and_strangers_are_refused(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 1}])
    stranger = client._replace(secret="tk_of_somebody_else")
    assert [gated.code(one) for one in (None, stranger, client._replace(secret=""))] == ["unknown_api_key"] * 3
    answers = gated.gate.decide([GateCall(secret=one) for one in (None, "\ud800", client.secret, client.secret)])
    assert [one.denial and one.denial.code for one in answers] == [
        "unknown_api_key", "unknown_api_key", None, "quota_exceeded",
    ]  # fmt: skip
    assert gated.gate.decide([]) == []


def test_a_secret_with_the_fingerprint_of_another_opens_nothing(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    client = gated.client()
    monkeypatch.setattr("tollkeeper.service.gate.fingerprint", lambda _: client.consumer)
    assert gated.code(client._replace(secret="tk_of_somebody_else")) == "unknown_api_key"
    assert gated.code(client) is None


def test_a_key_that_is_revoked_opens_nothing_at_once_on_every_node(gated: Gated) -> None:
    client, node = gated.client(limits=[{"limit": 9}]), gated.new_gate()
    assert gated.code(client) is gated.code(client, gate=node) is None
    gated.do(lambda edit: gated.service.keys.revoke(edit, client.key))
    assert gated.code(client) == gated.code(client, gate=node) == "api_key_revoked"


def test_a_key_expires_by_itself(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 9}])
    gated.do(lambda edit: gated.service.keys.rotate(edit, client.key, overlap=timedelta(seconds=10)))
    gated.now += 10 * SECOND - 1
    assert gated.code(client) is None
    gated.now += 1
    assert gated.code(client) == "api_key_expired"


def test_a_key_that_is_made_later_is_known_at_once(gated: Gated) -> None:
    client = gated.client()
    secret = "of-a-new-key-0123456789"
    assert gated.code(client._replace(secret=secret)) == "unknown_api_key"
    gated.do(lambda edit: gated.service.keys.create(edit, NewKey(customer=client.customer, key=secret)))
    assert gated.code(client._replace(secret=secret)) is None


def test_a_subscription_serves_in_its_time_only(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 9}])
    gated.do(lambda edit: set_paused(edit, client.subscription, paused=True))
    assert gated.code(client) == "no_subscription"
    gated.do(lambda edit: set_paused(edit, client.subscription, paused=False))
    assert gated.code(client) is None
    gated.do(lambda edit: cancel(edit, client.subscription))
    assert gated.code(client) is None
    gated.now += 32 * DAY
    assert gated.code(client) == "no_subscription"


def test_a_change_of_the_plan_takes_effect_at_once(gated: Gated) -> None:
    client, node = gated.client(limits=[{"limit": 2}]), gated.new_gate()
    assert gated.admitted(client, 9, gate=node) == 2
    gated.change_plan(1, limits=[{"limit": 5}])
    assert gated.admitted(client, 9, gate=node) == 3
    gated.change_plan(1, limits=[{"limit": 1}])
    assert gated.admitted(client, 9, gate=node) == 0


def test_a_change_by_a_node_whose_clock_is_behind_is_seen(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    client = gated.client(limits=[{"limit": 2}])
    assert gated.code(client) is None
    monkeypatch.setattr("time.time_ns", lambda: 10**9)
    gated.do(lambda edit: gated.service.keys.revoke(edit, client.key))
    assert gated.code(client) == "api_key_revoked"


def test_a_customer_with_two_subscriptions_uses_each(gated: Gated) -> None:
    client = gated.client(limits=[{"limit": 1}])
    new = NewSubscription(customer=client.customer, plan="plan 1", api="maps")
    gated.do(lambda edit: subscribe(edit, new))
    assert gated.code(client) == "ambiguous_api"
    assert [gated.admitted(client, 9, api=api) for api in ("orders", "maps")] == [1, 1]


def test_the_memory_begins_anew_before_it_is_too_large(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.service.gate_memory.MOST", 3)
    clients = [gated.client(limits=[{"limit": 5}]) for _ in range(5)]
    for _ in range(5):
        assert [gated.code(client) for client in clients] == [None] * 5
    assert [gated.code(client) for client in clients] == ["quota_exceeded"] * 5


def test_a_store_that_fails_has_counted_nothing(tmp_path: Path) -> None:
    url = store_url("sqlite", tmp_path)
    gated = Gated(url)
    client = gated.client(limits=[{"limit": 5}])
    assert gated.admitted(client, 2) == 2
    run_sql(url, "ALTER TABLE quota_hold RENAME TO gone")
    with pytest.raises(StoreError):
        gated.ask(client, reserve=True)
    run_sql(url, "ALTER TABLE gone RENAME TO quota_hold")
    assert gated.counted(client) == (2, 0)
    assert gated.admitted(client, 9) == 3
    gated.close()


def test_the_service_has_a_gate_by_the_real_clock(gated: Gated) -> None:
    gated.now = time.time_ns() // 1_000
    client: Client = gated.client(limits=[{"limit": 5}])
    gate: Gate = gated.service.gate
    (decision,) = gate.decide([GateCall(secret=client.secret)])
    assert decision.denial is None
    assert decision.limits[0].remaining == 4 * UNIT


def test_what_is_remembered_answers_when_the_store_does_not(tmp_path: Path) -> None:
    url = store_url("sqlite", tmp_path)
    gated = Gated(url)
    generous, strict, late = (gated.client(limits=[{"limit": 1}]) for _ in range(3))
    gated.change_plan(2, on_failure="deny")
    for client in (generous, strict):
        gated.ask(client)
    gated.change_plan(3, trial_days=1)
    gated.ask(strict)  # by which all others are to be read anew
    run_sql(url, "ALTER TABLE audit RENAME TO gone")
    with pytest.raises(StoreError):
        gated.ask(late)

    def undecided(client: Client, endpoint: str | None = None) -> Decision | None:
        return gated.gate.undecided(GateCall(secret=client.secret, endpoint=endpoint))

    assert undecided(generous) == Decision(customer="customer 1", plan="plan 1")
    refused = undecided(strict, "/none")
    assert refused is not None
    assert refused.denial is not None
    assert refused.denial.code == "unknown_route"
    assert undecided(strict) is undecided(late) is gated.gate.undecided(GateCall(secret=None)) is None
    assert undecided(generous._replace(secret="of somebody else")) is None
    gated.close()
