"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.event import EPOCH, MICROSECOND

__all__ = ["parse_time"]


def parse_time(name: str, text: str) -> int:
    """Read a time (RFC 3339) or a day (its start), UTC where no zone is named, as microseconds since 1970.

    Other text raises InvalidRequestError, which calls the value ``name``.
    """
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return (moment - EPOCH) // MICROSECOND
    except (ValueError, OverflowError):
        raise InvalidRequestError(
            f"{name} is {text!r}: give a time like 2026-10-31T12:00:00Z or a day like 2026-10-31."
        ) from None
