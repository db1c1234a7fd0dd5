"""What a query string says: periods, steps and filters, in the words that every ``GET`` shares."""

from __future__ import annotations

import re
import time
from typing import Annotated

from litestar.params import QueryParameter

from tollkeeper.errors import InvalidRequestError
from tollkeeper.metering.usage import Filters
from tollkeeper.metering.window import DAY, HOUR, QUARTER
from tollkeeper.service.periods import parse_time
from tollkeeper.service.usage import Period

__all__ = ["EndQuery", "StartQuery", "StepQuery", "filters_query", "period_from", "step_from"]

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


def filters_query(
    *,
    route: Annotated[str | None, QueryParameter(description="Route template, e.g. /users/{id}.")] = None,
    method: Annotated[str | None, QueryParameter(description="HTTP method.")] = None,
    consumer: Annotated[str | None, QueryParameter(description="Key of a consumer.")] = None,
    status: Annotated[str | None, QueryParameter(description="Status code, or a class like 4xx.")] = None,
    api: Annotated[str | None, QueryParameter(description="Name of an API.")] = None,
    api_version: Annotated[str | None, QueryParameter(description="Version of an API.")] = None,
) -> Filters:
    """Read the filters; a parameter that is absent or empty matches all."""
    filters = Filters(
        route=route or None,
        method=(method or "").upper() or None,
        consumer=consumer or None,
        status=status or None,
        api=api or None,
        api_version=api_version or None,
    )
    _ = filters.status_range
    return filters


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
