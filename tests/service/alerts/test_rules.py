from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from support.alerts import add_channel, add_rule, opened
from tollkeeper.errors import ConflictError, NotFoundError, UnprocessableError
from tollkeeper.service.alerts.channels import ChannelPatch
from tollkeeper.service.alerts.delivery import channels_of
from tollkeeper.service.alerts.rules import RulePatch, remove_rule, update_rule
from tollkeeper.service.alerts.signing import make_secret
from tollkeeper.service.alerts.views import show_channel, show_rule
from tollkeeper.service.audit import editing
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.products import NewApi, create_api
from tollkeeper.store.audit import AuditEntry
from tollkeeper.store.operations import AlertChannel, AlertRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.service.bootstrap import Service


@pytest.fixture
def service() -> Iterator[Service]:
    service = opened()
    add_channel(service)
    yield service
    service.close()


def test_a_rule_names_what_is_there(service: Service) -> None:
    with editing(service.catalog, "test") as edit:
        api = create_api(edit, NewApi(name="orders"))
        customer = create_customer(edit, NewCustomer(name="Acme", external_id="acme"))
    rule = add_rule(service, "quota", api=api.id, customer="acme", endpoint="/orders", threshold=Decimal("0.9"))
    assert (rule.api, rule.customer) == ("orders", customer.id)
    shown = show_rule(rule)
    assert (shown.channels, shown.minutes, shown.paused) == (["ops"], 5, False)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("error_rate", {}),
        ("latency", {}),
        ("error_rate", {"threshold": Decimal(0)}),
        ("error_rate", {"threshold": Decimal("1.01")}),
        ("error_rate", {"threshold": Decimal("NaN")}),
        ("error_rate", {"threshold": Decimal("Infinity")}),
        ("error_rate", {"threshold": Decimal("sNaN")}),
        ("latency", {"threshold": Decimal(3601)}),
        ("latency", {"threshold": Decimal("1E-999999")}),
        ("quota", {"threshold": Decimal(-1)}),
        ("silence", {"threshold": Decimal(1)}),
        ("invalid_subscription", {"threshold": Decimal(1)}),
        ("quota_reset", {"threshold": Decimal(1)}),
        ("invalid_subscription", {"endpoint": "/orders"}),
        ("silence", {"api": "missing"}),
        ("silence", {"customer": "missing"}),
        ("silence", {"channels": ["missing"]}),
    ],
)
def test_what_makes_no_sense_is_refused(service: Service, kind: str, given: dict[str, Any]) -> None:
    with pytest.raises(UnprocessableError):
        add_rule(service, kind, **given)


def test_names_are_taken_once(service: Service) -> None:
    add_rule(service, "silence", "a")
    rule = add_rule(service, "silence", "b")
    with pytest.raises(ConflictError):
        add_rule(service, "quota", "a")
    with pytest.raises(ConflictError), editing(service.catalog, "test") as edit:
        update_rule(edit, rule.id, RulePatch(name="a"))
    with pytest.raises(ConflictError):
        add_channel(service, "ops")


def test_a_rule_is_changed_and_taken_away(service: Service) -> None:
    add_channel(service, "boss")
    rule = add_rule(service, "latency", threshold=Decimal(1))
    with editing(service.catalog, "test") as edit:
        patch = RulePatch(name="slow", channels=["boss", "ops"], threshold=Decimal("0.25"), minutes=60, paused=True)
        changed = update_rule(edit, rule.id, patch)
        assert show_rule(changed).channels == ["boss", "ops"]
        assert (changed.name, changed.threshold, changed.minutes, changed.paused) == ("slow", Decimal("0.25"), 60, True)
        with pytest.raises(UnprocessableError):
            update_rule(edit, rule.id, RulePatch(threshold=None))
        remove_rule(edit, rule.id)
        with pytest.raises(NotFoundError):
            remove_rule(edit, rule.id)


def test_a_channel_that_is_taken_away_leaves_the_rules(service: Service) -> None:
    boss, _ = add_channel(service, "boss")
    add_rule(service, "silence", channels=["boss", "ops"])
    with editing(service.catalog, "test") as edit:
        channels_of(service).remove(edit, boss.id)
        assert [list(rule.channels) for rule in edit.records.find(AlertRule)] == [["ops"]]
        assert [channel.name for channel in edit.records.find(AlertChannel)] == ["ops"]


def test_secrets_are_shown_once_sealed_at_rest_and_not_in_the_audit_log(service: Service) -> None:
    channel, secret = add_channel(service, "hook", "https://hooks.example/alerts")
    brought = make_secret()
    again, kept = add_channel(service, "other", "https://hooks.example/alerts", secret=brought)
    assert kept == brought
    assert show_channel(channel).secret is None
    assert [one.secret for one in channels_of(service).signing(again, 0)] == [brought]
    with service.catalog.reading() as records:
        entries = records.find(AuditEntry, kind="alert_channel")
        held = b"".join(one.secrets or b"" for one in records.find(AlertChannel))
    assert len(entries) == 3
    assert all({"secrets", "salt"}.isdisjoint(entry.after or {}) for entry in entries)
    assert secret.encode() not in held
    assert secret not in repr(channels_of(service).signing(channel, 0))


@pytest.mark.parametrize(
    ("address", "given"),
    [
        ("ops@shop.example\n", {}),
        ("ops@shop.example", {"secret": make_secret()}),
        ("https://user:word@hooks.example/", {}),
        ("https://hooks.example/", {"secret": "whsec_short"}),
    ],
)
def test_a_channel_that_leads_nowhere_is_refused(service: Service, address: str, given: dict[str, Any]) -> None:
    with pytest.raises(UnprocessableError):
        add_channel(service, "new", address, **given)


def test_private_addresses_are_refused_when_a_channel_is_made_or_changed() -> None:
    service = opened(webhook_private=False)
    with pytest.raises(UnprocessableError, match="not public"):
        add_channel(service, "hook", "http://127.0.0.1/")
    channel, _ = add_channel(service, "hook", "https://hooks.example/")
    with pytest.raises(UnprocessableError, match="not public"), editing(service.catalog, "test") as edit:
        channels_of(service).update(edit, channel.id, ChannelPatch(address="http://169.254.169.254/"))
    service.close()


def test_create_rule_is_audited(service: Service) -> None:
    add_rule(service, "silence")
    with service.catalog.reading() as records:
        (entry,) = records.find(AuditEntry, kind="alert_rule")
    assert (entry.action, entry.actor) == ("create", "test")
