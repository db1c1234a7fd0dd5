"""The span of time that a page shows: presets that end now, or a custom one, cut into at most 120 buckets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.metering.window import DAY, HOUR, QUARTER
from tollkeeper.service.periods import Period

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "Range", "parse_range", "to_field"]

MAX_BUCKETS = 120
DEFAULT = "24h"
PRESETS: dict[str, tuple[int, int]] = {
    "24h": (DAY, QUARTER),
    "7d": (7 * DAY, 2 * HOUR),
    "30d": (30 * DAY, 6 * HOUR),
    "90d": (90 * DAY, DAY),
}
"""Name: how long, and in which step, both in microseconds."""
STEPS = (QUARTER, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 28 * DAY)
NAMES = {"24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days", "90d": "last 90 days"}
LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, tzinfo=UTC).timestamp())


class Range(Struct, frozen=True, kw_only=True):
    """``[start, end)`` aligned to ``step``, microseconds since 1970 UTC; ``asked`` is what was asked for, unaligned."""

    name: str
    start: int
    end: int
    step: int
    now: int
    asked: Period

    @property
    def period(self) -> Period:
        """The aligned span."""
        return Period(self.start, self.end)

    @property
    def previous(self) -> Period:
        """The equal span before it."""
        return Period(2 * self.start - self.end, self.start)

    @property
    def starts(self) -> range:
        """The starts of its buckets."""
        return range(self.start, self.end, self.step)

    @property
    def partial(self) -> int | None:
        """The index of the bucket that is still being filled; None when the span is over."""
        return (self.now - self.start) // self.step if self.start <= self.now < self.end else None

    @property
    def label(self) -> str:
        """The span in words, as it stands in a sentence."""
        return NAMES.get(self.name, "chosen time")

    @property
    def query(self) -> dict[str, str]:
        """The parameters that ask for it again."""
        if self.name in PRESETS:
            return {} if self.name == DEFAULT else {"range": self.name}
        return {"from": to_field(self.asked.start), "to": to_field(self.asked.end)}


def parse_range(query: Mapping[str, str], *, now: int, hourly: bool) -> Range:
    """Read ``range``, or ``from`` and ``to``; ``hourly`` makes the step at least an hour.

    Raises:
        InvalidRequestError: an unknown preset, a malformed time, or a span that is empty.
    """
    if query.get("from") or query.get("to"):
        return _custom(query, now, hourly=hourly)
    name = query.get("range") or DEFAULT
    if name not in PRESETS:
        raise InvalidRequestError(f"range is {name!r}: choose one of {', '.join(PRESETS)}, or give from and to.")
    length, step = PRESETS[name]
    step = max(step, HOUR) if hourly else step
    end = (now // step + 1) * step
    return Range(name=name, start=end - length, end=end, step=step, now=now, asked=Period(end - length, end))


def to_field(time_us: int) -> str:
    """Write a time as a ``datetime-local`` field does, in UTC; what lies behind the last that it can hold is that."""
    return datetime.fromtimestamp(min(time_us // 1_000_000, LAST_SECOND), UTC).strftime("%Y-%m-%dT%H:%M")


def _custom(query: Mapping[str, str], now: int, *, hourly: bool) -> Range:
    latest = (now // DAY + 1) * DAY
    end = min(_time("to", query["to"]) if query.get("to") else now, latest)
    start = _time("from", query["from"]) if query.get("from") else end - DAY
    if start >= end:
        raise InvalidRequestError("The range is empty: 'from' must lie before 'to', and before now.")
    step = _step(end - start, hourly=hourly)
    first, last = start // step * step, -(-end // step) * step
    return Range(name="custom", start=first, end=last, step=step, now=now, asked=Period(start, end))


def _step(length: int, *, hourly: bool) -> int:
    """The finest step that needs no more than the allowed buckets, with one to spare for the alignment."""
    for step in STEPS:
        if length / step <= MAX_BUCKETS - 1 and not (hourly and step < HOUR):
            return step
    return -(-length // (MAX_BUCKETS - 1) // DAY) * DAY


def _time(name: str, text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
        time_us = int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise InvalidRequestError(f"{name} is {text!r}: write it as 2026-01-31T18:00, in UTC.") from None
    if time_us < 0:
        raise InvalidRequestError(f"{name} is {text!r}: it must not lie before 1970.")
    return time_us
