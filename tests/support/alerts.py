"""Services with rules and channels, for the tests of alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tollkeeper.service.alerts.channels import NewChannel
from tollkeeper.service.alerts.delivery import channels_of
from tollkeeper.service.alerts.rules import NewRule, create_rule
from tollkeeper.service.audit import editing
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.settings import Settings
from tollkeeper.store.operations import AlertChannel, AlertRule, Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.service.audit import Edit

__all__ = ["add_channel", "add_message", "add_rule", "make_message", "messages", "opened"]


def opened(**settings: Any) -> Service:
    """A service in memory, whose webhooks may go to this machine."""
    given: dict[str, Any] = {"store": "memory:", "webhook_private": True}
    return open_service(Settings(**given | settings))


def add_channel(
    service: Service, name: str = "ops", address: str = "ops@example.com", **given: Any
) -> tuple[AlertChannel, str]:
    """Make a channel; it and its secret."""
    kind: Any = "webhook" if "://" in address else "email"
    with editing(service.catalog, "test") as edit:
        channel, secret = channels_of(service).create(edit, NewChannel(name=name, kind=kind, address=address, **given))
    return channel, secret or ""


def add_rule(service: Service, kind: Any, name: str = "", **given: Any) -> AlertRule:
    """Make a rule for the channel ``ops``, unless other channels are given."""
    with editing(service.catalog, "test") as edit:
        return rule_in(edit, kind, name, **given)


def rule_in(edit: Edit, kind: Any, name: str = "", **given: Any) -> AlertRule:
    return create_rule(edit, NewRule(name=name or kind, kind=kind, **{"channels": ["ops"]} | given))


def make_message(document: Mapping[str, Any] | None = None, **given: Any) -> Message:
    """A message that waits."""
    now = datetime.now(UTC)
    facts: dict[str, Any] = {"id": "msg_1", "channel": "chn_1", "subject": "s", "cause": "c", "at": now}
    return Message(**facts | {"created_at": now, "document": dict(document or {"kind": "test"})} | given)


def add_message(service: Service, channel: AlertChannel, name: str = "msg_1", **given: Any) -> Message:
    """Put a message into the outbox."""
    message = make_message(id=name, channel=channel.id, subject=name, cause=name, **given)
    with service.catalog.writing() as records:
        records.add(message)
    return message


def messages(service: Service) -> list[Message]:
    """All messages, in the order of their making."""
    with service.catalog.reading() as records:
        return records.find(Message)
