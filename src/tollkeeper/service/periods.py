"""Times as people write them, and the spans between them."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.timestamps import to_microseconds

__all__ = ["Period", "parse_time"]


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
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return to_microseconds(moment)
    except (ValueError, OverflowError):
        raise InvalidRequestError(
            f"{name} is {text!r}: give a time like 2026-10-31T12:00:00Z or a day like 2026-10-31."
        ) from None
