"""The pages of alerts: rules, channels, and what became of each message."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from support.alerts import add_channel, add_rule
from support.markup import forms, part, rows
from support.receiver import Receiver
from support.shop import EVIL
from tollkeeper.events.ids import record_id
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.settings import Settings
from tollkeeper.store.operations import AlertChannel, AlertRule, Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Litestar
    from litestar.testing import TestClient

    Client = TestClient[Litestar]

NOBODY = "http://127.0.0.1:9/hooks/secret-path"


@pytest.fixture
def service() -> Iterator[Service]:
    service = open_service(Settings(store="memory:", webhook_private=True))
    yield service
    service.close()


def kept(service: Service, kind: type[Any]) -> list[Any]:
    with service.catalog.reading() as records:
        return records.find(kind)


def add_message(service: Service, channel: AlertChannel, **given: Any) -> Message:
    now = datetime.now(UTC)
    document = {"kind": "quota", "customer_name": EVIL, "limit": "all month", "share": 1.0, "used": 7, "allowed": 7}
    values: dict[str, Any] = {"document": document, "at": now, "created_at": now, "channel": channel.id}
    message_id = record_id("msg")
    message = Message(id=message_id, subject=message_id, cause=message_id, **values | given)
    with service.catalog.writing() as records:
        records.add(message)
    return message


def test_without_channels_the_next_step_is_shown(client: Client, editor: Client, service: Service) -> None:
    text = client.get("/alerts").text
    assert "First make a channel" in text
    assert "tollkeeper alerts channels add ops ops@example.com" in text
    assert "No message yet" in client.get("/alerts/messages").text
    assert forms(editor.get("/alerts").text) == ["/logout", "/alerts/channels"]
    add_channel(service)
    assert "tollkeeper alerts rules add quotas quota --channel ops" in client.get("/alerts").text


def test_rules_say_in_words_when_they_tell(client: Client, service: Service) -> None:
    add_channel(service)
    add_rule(service, "quota", "all quotas")
    add_rule(service, "quota", "half", threshold=Decimal("0.50"))
    add_rule(service, "error_rate", "errors", threshold=Decimal("0.125"), minutes=1, endpoint="/orders/{id}")
    add_rule(service, "latency", "slow", threshold=Decimal("1.5"), minutes=15, paused=True)
    add_rule(service, "silence", "quiet", minutes=60)
    add_rule(service, "quota_reset", "anew")
    found = rows(part(client.get("/alerts").text, "rules"))
    assert [row[:5] for row in found] == [
        ["all quotas", "active", "80%, then 100%, of a quota is used", "everything", "ops"],
        ["half", "active", "50% of a quota is used", "everything", "ops"],
        ["errors", "active", "12.5% of the calls of a minute fail", "/orders/{id}", "ops"],
        ["slow", "paused", "The 95th percentile of 15 minutes reaches 1.5 s", "everything", "ops"],
        ["quiet", "active", "No call for 60 minutes", "everything", "ops"],
        ["anew", "active", "A period of a quota begins anew", "everything", "ops"],
    ]


def test_a_rule_is_made_paused_resumed_and_deleted(editor: Client, service: Service) -> None:
    ops, chat = add_channel(service)[0], add_channel(service, "chat", NOBODY)[0]
    given = {"name": "errors", "kind": "error_rate", "threshold": "0.05", "minutes": "", "api": "", "customer": " "}
    answer = editor.post("/alerts/rules", data=given | {"channels": [ops.id, chat.id]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts#rules")
    (rule,) = kept(service, AlertRule)
    assert (rule.threshold, rule.minutes, rule.api) == (Decimal("0.05"), 5, None)
    assert rule.channels == {"ops": ops.id, "chat": chat.id}
    for action, paused in (("pause", True), ("resume", False)):
        assert editor.post(f"/alerts/rules/{rule.id}/{action}").status_code == 303
        assert kept(service, AlertRule)[0].paused is paused
    assert editor.post("/alerts/rules", data=given | {"name": "one", "channels": ops.id}).status_code == 303
    refused = {"name": {"name": "errors"}, "kind": {"kind": "x"}, "threshold": {"threshold": ""}}
    for wrong in refused.values():
        again = editor.post("/alerts/rules", data=given | {"channels": ops.id} | wrong)
        assert again.status_code in {409, 422}
        assert 'role="alert"' in again.text
    assert editor.post(f"/alerts/rules/{rule.id}/delete").status_code == 303
    assert [one.name for one in kept(service, AlertRule)] == ["one"]
    assert editor.post(f"/alerts/rules/{rule.id}/delete").status_code == 404
    assert 'Delete rule <a href="/alerts">errors</a>' in editor.get("/audit").text


def test_the_secret_of_a_webhook_is_shown_once(client: Client, editor: Client, service: Service) -> None:
    answer = editor.post("/alerts/channels", data={"name": "hook", "kind": "webhook", "address": NOBODY})
    assert answer.status_code == 201
    (secret,) = re.findall(r'id="secret" readonly value="([^"]+)"', answer.text)
    assert secret not in editor.get("/alerts").text
    assert NOBODY in editor.get("/alerts").text
    assert "secret-path" not in client.get("/alerts").text
    assert "http://127.0.0.1/…" in client.get("/alerts").text
    mail = {"name": "ops", "kind": "email", "address": "ops@example.com"}
    answer = editor.post("/alerts/channels", data=mail)
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts#channels")
    assert editor.post("/alerts/channels", data=mail | {"name": "x", "address": "nowhere"}).status_code == 422
    assert [row[:3] for row in rows(part(client.get("/alerts").text, "channels"))][1] == [
        "ops",
        "E-mail",
        mail["address"],
    ]
    first = kept(service, AlertChannel)[0]
    assert editor.post(f"/alerts/channels/{first.id}/delete").status_code == 303
    assert [channel.name for channel in kept(service, AlertChannel)] == ["ops"]


def test_a_test_says_what_became_of_it(editor: Client, service: Service) -> None:
    receiver = Receiver()
    try:
        good, _ = add_channel(service, "good", f"{receiver.url}/hook")
        bad, _ = add_channel(service, "bad", NOBODY)
        sent = editor.post(f"/alerts/channels/{good.id}/test")
        assert "The test of good was delivered." in editor.get(sent.headers["location"]).text
        assert len(receiver.requests) == 1
        failed = editor.post(f"/alerts/channels/{bad.id}/test")
        text = editor.get(failed.headers["location"]).text
        assert "The test of bad could not be delivered: " in text
        assert editor.post("/alerts/channels/chn_0/test").status_code == 404
        assert "tried" not in editor.get("/alerts?tried=msg_0").text
    finally:
        receiver.stop()


def test_messages_say_what_became_of_them(
    client: Client, editor: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ops, _), now = add_channel(service), datetime.now(UTC)
    rule = add_rule(service, "quota")
    dead = add_message(service, ops, rule=rule.id, state="dead", attempts=14, error=f"It answered 410 {EVIL}")
    add_message(service, ops, attempts=1, error="Refused.", at=now + timedelta(minutes=5))
    add_message(service, ops, state="delivered", attempts=2, delivered_at=now)
    text = client.get("/alerts/messages").text
    states = [row[3] for row in rows(text)]
    assert states[0].startswith("delivered ")
    assert states[0].endswith("after 2 tries")
    assert states[1].startswith("waiting after 1 try, next at ")
    assert states[2] == f"given up after 14 tries It answered 410 {EVIL}"
    assert "<script>alert" not in text
    assert "/retry" not in text
    assert "Try again" in editor.get("/alerts").text
    for query, count in (("state=dead", 1), (f"rule={rule.id}", 1), (f"channel={ops.id}", 3), ("channel=chn_0", 0)):
        assert len(rows(client.get(f"/alerts/messages?{query}").text)) == count
    assert client.get("/alerts/messages?state=x").status_code == 400
    monkeypatch.setattr("tollkeeper.dashboard.alerts.PAGE", 2)
    link = client.get("/alerts/messages").text.partition("after=")[2].partition('"')[0]
    assert len(rows(client.get(f"/alerts/messages?after={link}").text)) == 1
    assert "No message further back" in client.get("/alerts/messages?after=0").text
    answer = editor.post(f"/alerts/messages/{dead.id}/retry")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts/messages")
    assert [one.state for one in kept(service, Message)].count("pending") == 2
    delivered = next(one for one in kept(service, Message) if one.state == "delivered")
    assert "delivered already" in editor.post(f"/alerts/messages/{delivered.id}/retry").text


def test_only_who_may_write_here_changes_alerts(client: Client, editor: Client, service: Service) -> None:
    ops, _ = add_channel(service)
    rule = add_rule(service, "quota")
    message = add_message(service, ops, state="dead")
    for path in (
        *("rules", f"rules/{rule.id}/pause", f"rules/{rule.id}/resume", f"rules/{rule.id}/delete"),
        *("channels", f"channels/{ops.id}/test", f"channels/{ops.id}/delete", f"messages/{message.id}/retry"),
    ):
        data = {"name": "new", "kind": "quota", "address": "a@example.com"}
        assert client.post(f"/alerts/{path}", data=data).status_code == 403
        answer = editor.post(f"/alerts/{path}", data=data, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
    assert (kept(service, AlertRule), kept(service, AlertChannel)) == ([rule], [ops])
    assert kept(service, Message) == [message]
