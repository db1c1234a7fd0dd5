"""Periods and steps in a query string, in the words that every ``GET`` shares."""

from __future__ import annotations

import re
import time
from typing import Annotated

from litestar.params import QueryParameter

from tollkeeper.errors import InvalidRequestError
from tollkeeper.metering.window import DAY, HOUR, QUARTER
from tollkeeper.service.periods import Period, parse_time

__all__ = ["EndQuery", "StartQuery", "StepQuery", "period_from", "step_from"]

StartQuery = Annotated[
    str | None,
    QueryParameter(
        name="from", description="Start, included: RFC 3339 or YYYY-MM-DD (UTC). Default: a day before `to`."
    ),
]
EndQuery = Annotated[
    str | None, QueryParameter(name="to", description="End, excluded: RFC 3339 or YYYY-MM-DD (UTC). Default: now.")
]
StepQuery = Annotated[
    str | None,
    QueryParameter(name="step", description="Width of a bucket: 15m, 1h, 2h, 6h, 1d, 7d … Default: up to 120 buckets."),
]
UNITS = {"m": 60_000_000, "h": HOUR, "d": DAY}
STEP = re.compile(r"([1-9][0-9]{0,4})([mhd])")
USUAL_STEPS = (QUARTER, HOUR, 2 * HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY)
USUAL_BUCKETS = 120


def period_from(start: str | None, end: str | None) -> Period:
    """Read a half-open period; text that is no time, or an end before the start, raises InvalidRequestError."""
    last = parse_time("to", end) if end else time.time_ns() // 1_000
    first = parse_time("from", start) if start else last - DAY
    if first >= last:
        raise InvalidRequestError("The period ends before it starts: give from < to.")
    return Period(first, last)


def step_from(text: str | None, period: Period) -> int:
    """Read a step; None gives the shortest usual one that makes at most 120 buckets."""
    if not text:
        span = period.end - period.start
        return next((step for step in USUAL_STEPS if span <= USUAL_BUCKETS * step), USUAL_STEPS[-1])
    match = STEP.fullmatch(text)
    if not match:
        raise InvalidRequestError(f"step is {text!r}: give a number with m, h or d, e.g. 15m, 1h or 1d.")
    return int(match[1]) * UNITS[match[2]]
