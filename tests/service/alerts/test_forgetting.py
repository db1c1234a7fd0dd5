from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from support.alerts import add_channel, add_message, add_rule, messages, opened
from tollkeeper.service.alerts import forgetting
from tollkeeper.service.alerts.forgetting import forget_messages
from tollkeeper.service.alerts.raising import raise_alert
from tollkeeper.service.alerts.rules import remove_rule
from tollkeeper.service.audit import editing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.service.bootstrap import Service

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def service() -> Iterator[Service]:
    service = opened()
    yield service
    service.close()


def tell(service: Service, kind: Any, subject: str, cause: str, after: timedelta, **document: Any) -> int:
    """Tell of something and deliver it at once; how many messages."""
    with service.catalog.writing() as records:
        told = raise_alert(records, kind=kind, subject=subject, cause=cause, document=document, now=NOW + after)
        for message in told:
            records.replace(replace(message, state="delivered", delivered_at=message.at))
    return len(told)


def test_a_share_is_told_once_in_a_period_however_long(service: Service) -> None:
    add_channel(service)
    add_rule(service, "quota")
    ends_at = (NOW + 365 * DAY).isoformat()

    def told(after: timedelta) -> int:
        return tell(service, "quota", "all year 0.8", "all year 0.8", after, ends_at=ends_at)

    assert told(timedelta()) == 1
    assert forget_messages(service.catalog, NOW + 364 * DAY) == 0
    assert told(364 * DAY) == 0
    assert forget_messages(service.catalog, NOW + 366 * DAY) == 1


def test_a_silence_is_told_once_however_long(service: Service) -> None:
    add_channel(service)
    rule = add_rule(service, "silence")
    subject = f"silence|{rule.id}"
    assert tell(service, "silence", subject, f"{subject}|1", timedelta()) == 1
    assert tell(service, "silence", subject, f"{subject}|2", DAY) == 1
    assert forget_messages(service.catalog, NOW + 400 * DAY) == 1
    assert tell(service, "silence", subject, f"{subject}|2", 400 * DAY) == 0
    with editing(service.catalog, "test") as edit:
        remove_rule(edit, rule.id)
    assert forget_messages(service.catalog, NOW + 400 * DAY) == 1
    assert messages(service) == []


def test_what_ended_is_forgotten_in_time_and_what_waits_is_not(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    channel, _ = add_channel(service)
    now = datetime.now(UTC)
    for state in ("pending", "delivered", "dead"):
        for days in range(5):
            add_message(service, channel, f"msg_{state}{days}", state=state, at=now - timedelta(days=days))
    assert forget_messages(service.catalog, now - timedelta(days=2)) == 4
    assert forget_messages(service.catalog, now - timedelta(days=2)) == 0
    left = [message.state for message in messages(service)]
    assert [left.count(state) for state in ("pending", "delivered", "dead")] == [5, 3, 3]
