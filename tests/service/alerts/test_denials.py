from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.alerts import add_channel, add_rule, messages, opened
from support.gated import Gated
from tollkeeper.errors import StoreError
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.service.alerts.denials import Denials
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.keys import NewKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.service.bootstrap import Service

KEY = "the-key-of-acme-0001"
FINGERPRINT = fingerprint(KEY)


@pytest.fixture
def service() -> Iterator[Service]:
    """Acme with a key."""
    service = opened()
    add_channel(service)
    with editing(service.catalog, "test") as edit:
        create_customer(edit, NewCustomer(name="Acme", external_id="acme"))
        service.keys.create(edit, NewKey(customer="acme", key=KEY))
    yield service
    service.close()


def said(service: Service) -> list[dict[str, Any]]:
    return [message.document for message in messages(service)]


def test_denials_of_the_gate_are_written_soon_and_once(service: Service) -> None:
    add_rule(service, "invalid_subscription")
    denials = Denials(service.catalog, seconds=0.05)
    for _ in range(100):
        denials.note(FINGERPRINT, "no_subscription", "orders")
        denials.note(fingerprint("x"), "unknown_api_key")
        denials.note(fingerprint("y"), "quota_exceeded")
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while len(messages(service)) < 2 and datetime.now(UTC) < deadline:
        threading.Event().wait(0.01)
    denials.note(FINGERPRINT, "api_key_expired")  # the same key within the hour
    denials.close()
    denials.close()
    assert [one["code"] for one in said(service)] == ["no_subscription", "unknown_api_key"]


def test_a_flood_of_denials_is_noted_in_part(service: Service) -> None:
    add_rule(service, "invalid_subscription")
    denials = Denials(service.catalog, seconds=60)
    for number in range(5_000):
        denials.note(fingerprint(str(number)), "unknown_api_key")
    assert len(denials._noted) == 100
    denials.close()
    assert len(messages(service)) == 30


def test_a_flood_of_denials_hides_no_customer(service: Service) -> None:
    add_rule(service, "invalid_subscription")
    denials = Denials(service.catalog, seconds=60)
    for number in range(200):
        denials.note(fingerprint(str(number)), "unknown_api_key")
    for number in range(200):
        denials.note(FINGERPRINT, "no_subscription", f"api {number}")
    assert len(denials._noted) == 110
    denials.close()
    assert [one["customer_name"] for one in said(service)] == [None] * 30 + ["Acme"]


def test_denials_wait_for_a_thread(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_rule(service, "invalid_subscription")
    denials = Denials(service.catalog, seconds=0.01)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        for _ in range(3):
            for number in range(150):
                denials.note(fingerprint(str(number)), "unknown_api_key")
    assert len(denials._noted) == 100
    assert caplog.text.count("wait for a thread") == 100
    denials.note(fingerprint("0"), "unknown_api_key")
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while len(messages(service)) < 30 and datetime.now(UTC) < deadline:
        threading.Event().wait(0.01)
    assert len(messages(service)) == 30
    denials.close()


def test_denials_without_a_rule_or_a_store_trouble_nobody(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    denials = Denials(service.catalog, seconds=60)
    denials.note(FINGERPRINT, "no_subscription")
    denials.write()
    assert messages(service) == []

    def fail() -> None:
        raise StoreError("The store is away.")

    denials.note(FINGERPRINT, "no_subscription")
    monkeypatch.setattr(service.catalog, "reading", fail)
    denials.close()
    assert "Alerts of 1 denied keys were lost: The store is away." in caplog.text


def test_denials_start_anew_after_a_fork(service: Service) -> None:
    denials = Denials(service.catalog, seconds=60)
    denials.note(FINGERPRINT, "no_subscription")
    denials._lock.renew()
    assert (denials._noted, denials._timer) == ({}, None)


def test_a_watcher_that_fails_decides_on_no_call(caplog: pytest.LogCaptureFixture) -> None:
    gated = Gated()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    gated.gate.watch(fail)
    client = gated.client(api="maps", limits=[{"limit": 9}])
    assert gated.code(client, api="orders") == "no_subscription"
    assert gated.code(client, api="maps") is None
    denial = gated.take(client, api="orders").denial
    assert denial is not None
    assert denial.code == "no_subscription"
    assert caplog.text.count("Denials could not be told of") == 2
    gated.close()
