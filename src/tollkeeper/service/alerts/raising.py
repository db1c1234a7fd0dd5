"""Into the outbox: one message for each channel of a rule, in the transaction of what it tells of."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tollkeeper.events.ids import first_record_id, record_id
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.store.operations import AlertRule, Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.store.operations import RuleKind
    from tollkeeper.store.protocols import Records

__all__ = ["matches", "raise_alert", "raise_for_rule", "untold"]

SILENT_FOR = timedelta(hours=1)
"""How long a channel hears no more of a subject that it was told of."""
MAX_AN_HOUR = 30
"""Messages of one rule on one channel about keys of nobody: anybody can call with any number of wrong keys."""
PAGE = 1_000
SCOPES = ("api", "endpoint", "customer")
log = logging.getLogger("tollkeeper")


def raise_alert(
    records: Records,
    *,
    kind: RuleKind,
    subject: str,
    cause: str,
    document: Mapping[str, Any],
    now: datetime | None = None,
) -> list[Message]:
    """Tell the channels of every rule of a kind that covers what happened; the messages, which go out after the commit.

    ``document`` says what happened: names of the ``api`` and the ``endpoint``, the id of the ``customer``, and whatever
    its reader should know, as JSON without secrets. Idempotent by ``cause``, which a channel hears of once; of a
    ``subject`` it hears once an hour. Belongs into a transaction that writes.
    """
    rules = [rule for rule in records.find(AlertRule, kind=kind, paused=False) if matches(rule, document)]
    return [
        message
        for rule in rules
        for message in raise_for_rule(records, rule, subject=subject, cause=cause, document=document, now=now)
    ]


def raise_for_rule(
    records: Records,
    rule: AlertRule,
    *,
    subject: str,
    cause: str,
    document: Mapping[str, Any],
    now: datetime | None = None,
) -> list[Message]:
    """Tell the channels of one rule; as ``raise_alert``."""
    now = now or datetime.now(UTC)
    told = []
    for channel in untold(records, rule, subject=subject, cause=cause, document=document, now=now):
        message = Message(
            id=record_id("msg"),
            channel=channel,
            rule=rule.id,
            subject=subject,
            cause=cause,
            document={**document, "kind": rule.kind, "rule": rule.name},
            at=now,
            created_at=now,
        )
        records.add(message)
        told.append(message)
    return told


def untold(
    records: Records, rule: AlertRule, *, subject: str, cause: str, document: Mapping[str, Any], now: datetime
) -> list[str]:
    """The channels of a rule, by their ids, that are to hear of a cause and have not."""
    capped = rule.kind == "invalid_subscription" and _of_nobody(document)
    told = {message.channel for message in records.find(Message, channel=list(rule.channels.values()), cause=cause)}
    return [
        channel
        for channel in rule.channels.values()
        if channel not in told
        and not _is_silent(records, channel, subject, now)
        and not (capped and _is_flooded(records, rule, channel, now))
    ]


def matches(rule: AlertRule, document: Mapping[str, Any]) -> bool:
    """Whether what happened is in the scope of a rule; a scope of None is any."""
    return all(getattr(rule, scope) in {None, document.get(scope)} for scope in SCOPES)


def _of_nobody(document: Mapping[str, Any]) -> bool:
    return not document.get("customer")


def _is_silent(records: Records, channel: str, subject: str, now: datetime) -> bool:
    newest = records.page(Message, after=None, limit=1, newest_first=True, channel=channel, subject=subject)
    return bool(newest) and newest[0].created_at > now - SILENT_FOR


def _is_flooded(records: Records, rule: AlertRule, channel: str, now: datetime) -> bool:
    after, told = first_record_id("msg", to_microseconds(now - SILENT_FOR)), 0
    while told < MAX_AN_HOUR:
        # Without the channel, so that the store reads the last hour by its ids, and not all that the channel heard.
        found = records.page(Message, after=after, limit=PAGE, rule=rule.id)
        told += sum(message.channel == channel and _of_nobody(message.document) for message in found)
        if len(found) < PAGE:
            break
        after = found[-1].id
    if told < MAX_AN_HOUR:
        return False
    log.warning(
        "The alert rule %s told a channel of %d unknown keys in an hour: of no more for now.", rule.id, MAX_AN_HOUR
    )
    return True
