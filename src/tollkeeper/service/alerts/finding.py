"""What an evaluation finds, and how it is told once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tollkeeper.service.alerts.raising import raise_for_rule, untold
from tollkeeper.store.operations import AlertRule, Message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["Finding", "tell"]


class Finding(Struct, frozen=True):
    """Something that a rule is to tell of; the rest is as ``raise_alert`` takes it."""

    rule: AlertRule
    subject: str
    cause: str
    document: dict[str, Any]


def tell(store: RecordStore, findings: Sequence[Finding], now: datetime) -> int:
    """Put what was not told yet into the outbox; how many messages. Writes only when there is something new."""
    with store.reading() as records:
        new = _new(records, findings, now)
    if not new:
        return 0
    with store.writing() as records:
        return sum(
            len(raise_for_rule(records, one.rule, subject=one.subject, cause=one.cause, document=one.document, now=now))
            for one in new
        )


def _new(records: Records, findings: Sequence[Finding], now: datetime) -> list[Finding]:
    """Those that some channel is to hear of: most were told before, which one query for all of them knows."""
    causes = sorted({one.cause for one in findings})
    channels = sorted({channel for one in findings for channel in one.rule.channels.values()})
    told = {(message.channel, message.cause) for message in records.find(Message, channel=channels, cause=causes)}
    return [
        one
        for one in findings
        if any((channel, one.cause) not in told for channel in one.rule.channels.values())
        and untold(records, one.rule, subject=one.subject, cause=one.cause, document=one.document, now=now)
    ]
