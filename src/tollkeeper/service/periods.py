"""Times as people write them, and the spans between them."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.timestamps import END, to_microseconds

__all__ = ["END_OF_TIME", "Period", "parse_time"]

END_OF_TIME = to_microseconds(END)
"""Every event is before this, in microseconds."""


class Period(Struct, frozen=True):
    """A half-open time span ``[start, end)`` in microseconds since 1970 UTC."""

    start: int
    end: int


def parse_time(name: str, text: str) -> int:
    """Read a time (RFC 3339) or a day (its start), UTC where no zone is named, as microseconds since 1970.

    Other text raises InvalidRequestError, which calls the value ``name``.
    """
    try:
        moment = datetime.fromisoformat(text)
        found = to_microseconds(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)
    except ValueError:
        found = -1
    if not 0 <= found <= END_OF_TIME:
        raise InvalidRequestError(
            f"{name} is {text!r}: give a time like 2026-10-31T12:00:00Z or a day like 2026-10-31."
        )
    return found
