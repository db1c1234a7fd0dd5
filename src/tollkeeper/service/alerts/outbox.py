"""Messages as they are shown, and by hand: a test of a channel, another try of what is dead."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import asdict, replace

from tollkeeper.errors import ConflictError
from tollkeeper.events.ids import record_id
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.store.operations import AlertChannel, Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import Records

__all__ = ["MessageView", "add_trial", "list_messages", "retry_message", "show_messages"]

HEAD_START = timedelta(minutes=1)


class MessageView(Struct, frozen=True, kw_only=True):
    """A message by the name of its channel, null when that was taken away; ``at`` is when it is tried next."""

    id: str
    channel: str | None
    rule: str | None
    kind: str
    subject: str
    document: dict[str, Any]
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    at: datetime
    error: str | None
    delivered_at: datetime | None
    created_at: datetime


def add_trial(edit: Edit, channel: AlertChannel, *, by_hand: bool = False) -> Message:
    """Put a test for a channel into the outbox; one that is sent ``by_hand`` now is left alone for a minute."""
    message_id = record_id("msg")
    message = Message(
        id=message_id,
        channel=channel.id,
        subject=f"test|{message_id}",
        cause=f"test|{message_id}",
        document={"kind": "test", "channel": channel.name},
        at=edit.now + HEAD_START if by_hand else edit.now,
        created_at=edit.now,
    )
    edit.add(message)
    return message


def retry_message(edit: Edit, message_id: str) -> Message:
    """Have a message tried at once, and as often as a new one; raises NotFoundError.

    Raises ConflictError when it was delivered, or when its channel was taken away.
    """
    old = find_record(edit.records, Message, message_id)
    if old.state == "delivered":
        raise ConflictError("The message was delivered already.")
    if edit.records.get(AlertChannel, old.channel) is None:
        raise ConflictError("The channel of the message was taken away: it can go nowhere.")
    new = replace(old, state="pending", attempts=0, at=edit.now)
    edit.replace(old, new)
    return new


def list_messages(records: Records, **options: Any) -> Listed[Message]:
    """List messages, newest first; ``options`` as those of ``list_records``."""
    return list_records(records, Message, newest_first=True, **options)


def show_messages(records: Records, messages: Sequence[Message]) -> list[MessageView]:
    """Messages as they are shown, in the same order."""
    channels = records.find(AlertChannel, id=sorted({message.channel for message in messages}))
    names = {channel.id: channel.name for channel in channels}
    views = []
    for message in messages:
        shown = {name: value for name, value in asdict(message).items() if name != "cause"}
        kind = str(message.document.get("kind", ""))
        views.append(MessageView(**shown | {"channel": names.get(message.channel), "kind": kind}))
    return views
