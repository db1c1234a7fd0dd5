"""Messages that were delivered, or are dead, do not stay for ever."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tollkeeper.store.operations import AlertRule, Message

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["forget_messages"]

AT_ONCE = 1_000


def forget_messages(store: RecordStore, before: datetime) -> int:
    """Forget messages that ended before a time; how many. What waits is kept, however old; safe to run twice.

    Kept is also what would be told again without it: of a period that was not over by then, and the last silence.
    """
    return sum(_forget(store, before, state) for state in ("delivered", "dead"))


def _forget(store: RecordStore, before: datetime, state: str) -> int:
    forgotten, after = 0, None
    while True:
        with store.writing() as records:
            old = records.page(Message, after=after, limit=AT_ONCE, end=before, state=state)
            gone = [message for message in old if not _is_of_use(records, message, before)]
            for message in gone:
                records.remove(message)
        forgotten += len(gone)
        if len(old) < AT_ONCE:
            return forgotten
        after = old[-1].id


def _is_of_use(records: Records, message: Message, before: datetime) -> bool:
    ends_at = message.document.get("ends_at")
    if ends_at is not None and datetime.fromisoformat(ends_at) > before:
        return True
    return message.document.get("kind") == "silence" and _is_last(records, message)


def _is_last(records: Records, message: Message) -> bool:
    """Whether a message is the newest of its subject, and its rule still has its channel."""
    rule = records.get(AlertRule, message.rule) if message.rule else None
    if rule is None or message.channel not in rule.channels.values():
        return False
    newest = records.page(
        Message, after=None, limit=1, newest_first=True, channel=message.channel, subject=message.subject
    )
    return newest == [message]
