"""Write an event in the plainest JSON, for a database that refuses it as it is."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.events.event import UsageEvent

__all__ = ["plain_event"]

MAX_LEVELS = 20
INT64 = range(-(2**63), 2**63)


def plain_event(event: UsageEvent) -> UsageEvent:
    """Return the event with NUL as U+FFFD, integers beyond 64 bits as text, and what is nested too deep as JSON text.

    Databases differ in which of these they refuse, and a caller may send any of them to be left uncounted.

    Raises:
        ValueError: the event is not valid, so that it cannot be helped.
    """
    return msgspec.json.decode(msgspec.json.encode(_plain(event.document(), MAX_LEVELS)), type=UsageEvent)


def _plain(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict | list) and not levels:
        return msgspec.json.encode(value).decode()
    if isinstance(value, dict):
        return {_plain(key, 0): _plain(item, levels - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, levels - 1) for item in value]
    if isinstance(value, int) and value not in INT64:
        return str(value)
    return value
