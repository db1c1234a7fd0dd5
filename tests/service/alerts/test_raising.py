from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.alerts import add_channel, add_rule, messages
from support.stores import DURABLE, store_url
from tollkeeper.service.alerts import raising
from tollkeeper.service.alerts.raising import MAX_AN_HOUR, raise_alert
from tollkeeper.service.alerts.rules import RulePatch, remove_rule, update_rule
from tollkeeper.service.audit import editing
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.customers import NewCustomer, create_customer
from tollkeeper.service.products import NewApi, create_api
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime.now(UTC)


@pytest.fixture(params=["memory", DURABLE[0]])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    service = open_service(Settings(store=store_url(request.param, tmp_path)))
    add_channel(service)
    yield service
    service.close()


def tell(service: Service, name: str = "1", *, after: timedelta = timedelta(), **given: Any) -> int:
    facts: dict[str, Any] = {"kind": "silence", "subject": name, "cause": name, "document": {}}
    with service.catalog.writing() as records:
        return len(raise_alert(records, now=NOW + after, **facts | given))


def test_each_channel_of_each_rule_that_covers_it_is_told(service: Service) -> None:
    with editing(service.catalog, "test") as edit:
        create_api(edit, NewApi(name="orders"))
        acme = create_customer(edit, NewCustomer(name="Acme", external_id="acme")).id
    add_channel(service, "boss")
    add_rule(service, "silence", "all", channels=["boss"])
    add_rule(service, "silence", "orders", api="orders")
    add_rule(service, "silence", "one", api="orders", endpoint="/a", customer="acme")
    add_rule(service, "silence", "mute", channels=[])
    add_rule(service, "silence", "paused", paused=True)
    add_rule(service, "quota", "other")

    def told(name: str, **document: Any) -> list[str]:
        with service.catalog.writing() as records:
            found = raise_alert(records, kind="silence", subject=name, cause=name, document=document)
        return [message.document["rule"] for message in found]

    assert told("1") == ["all"]
    assert told("2", api="orders") == ["all", "orders"]
    assert told("3", api="cars", endpoint="/a", customer=acme) == ["all"]
    # Both rules have the channel ops, which hears of it once.
    assert told("4", api="orders", endpoint="/a", customer=acme) == ["all", "orders"]


def test_what_a_message_holds(service: Service) -> None:
    rule = add_rule(service, "silence")
    assert tell(service, document={"api": "orders", "kind": "forged", "rule": "forged"}) == 1
    (message,) = messages(service)
    assert message.document == {"api": "orders", "kind": "silence", "rule": "silence"}
    assert (message.rule, message.state, message.attempts, message.at) == (rule.id, "pending", 0, NOW)
    assert message.id.startswith("msg_")


def test_a_cause_is_told_once_for_ever(service: Service) -> None:
    add_rule(service, "silence")
    assert tell(service) == 1
    assert tell(service, subject="other") == 0
    assert tell(service, after=timedelta(days=400)) == 0


def test_a_subject_is_told_of_once_an_hour(service: Service) -> None:
    add_rule(service, "silence")
    hours = [0, 0.5, 0.99, 1, 1.5, 2.01]
    told = [tell(service, cause=str(hour), after=timedelta(hours=hour)) for hour in hours]
    assert told == [1, 0, 0, 1, 0, 1]
    assert tell(service, "2") == 1


def test_a_flood_of_wrong_keys_is_cut_off(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    add_rule(service, "invalid_subscription")
    add_rule(service, "quota")
    numbers = range(MAX_AN_HOUR + 5)
    assert sum(tell(service, str(number), kind="invalid_subscription") for number in numbers) == MAX_AN_HOUR
    assert "no more for now" in caplog.text
    assert sum(tell(service, f"q{number}", kind="quota") for number in numbers) == len(numbers)
    assert tell(service, "later", kind="invalid_subscription", after=timedelta(hours=9)) == 1


def test_a_flood_of_wrong_keys_hides_no_customer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raising, "PAGE", 7)
    add_rule(service, "invalid_subscription")

    def told(name: str, customer: str | None) -> int:
        return tell(service, name, kind="invalid_subscription", document={"customer": customer})

    numbers = range(MAX_AN_HOUR + 5)
    assert sum(told(f"known {number}", "cus_1") for number in numbers) == len(numbers)
    assert sum(told(f"unknown {number}", None) for number in numbers) == MAX_AN_HOUR
    assert told("known", "cus_1") == 1
    assert told("unknown", None) == 0


def test_nothing_is_told_when_the_transaction_is_undone(service: Service) -> None:
    add_rule(service, "silence")

    def fail() -> None:
        with service.catalog.writing() as records:
            assert raise_alert(records, kind="silence", subject="s", cause="c", document={})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert messages(service) == []


def test_without_a_rule_nothing_is_told(service: Service) -> None:
    rule = add_rule(service, "silence")
    with editing(service.catalog, "test") as edit:
        update_rule(edit, rule.id, RulePatch(paused=True))
    assert tell(service) == 0
    with editing(service.catalog, "test") as edit:
        remove_rule(edit, rule.id)
    assert tell(service) == 0


def test_many_that_tell_of_a_thing_at_once_tell_it_once(service: Service) -> None:
    add_rule(service, "silence")
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda number: tell(service, "1", cause=str(number % 2)), range(16))) == 1
    assert len(messages(service)) == 1
