"""The question that every page asks, and its answer: how much, of what, when, by whom."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.metering.sketch import Sketch, merge_sketches

__all__ = ["Dimension", "Filters", "Totals", "UsageQuery", "UsageRow"]

STATUS = re.compile(r"([1-9])xx|([1-9][0-9]{2})", re.IGNORECASE)

Dimension = Literal["route", "consumer", "status"]


class Filters(Struct, frozen=True, kw_only=True):
    """What an event must match; a field that is None matches all.

    ``route`` is a template (``/users/{id}``); ``status`` a code (``404``) or a class (``4xx``).
    """

    route: str | None = None
    method: str | None = None
    consumer: str | None = None
    status: str | None = None
    api: str | None = None
    api_version: str | None = None

    @property
    def status_range(self) -> tuple[int, int] | None:
        """The first and the last code that match, or None when all do; any other text raises InvalidRequestError."""
        if self.status is None:
            return None
        match = STATUS.fullmatch(self.status)
        if not match:
            raise InvalidRequestError(f"status is {self.status!r}: give a code like 404 or a class like 4xx.")
        return (int(match[1]) * 100, int(match[1]) * 100 + 99) if match[1] else (int(match[2]), int(match[2]))


class UsageQuery(Struct, frozen=True, kw_only=True):
    """Usage in ``[start, end)``, microseconds since 1970 UTC, in buckets of ``step`` (aligned to 1970; None: one).

    ``sketches=False`` leaves the latency sketches empty, which is much cheaper. ``largest`` keeps, of one bucket
    grouped by one dimension, that many groups: those with the most requests, and all that tie with the last of them.
    """

    start: int
    end: int
    step: int | None = None
    group_by: tuple[Dimension, ...] = ()
    filters: Filters = Filters()
    sketches: bool = False
    largest: int | None = None

    def least(self, requests: list[int]) -> int:
        """The fewest requests that a group needs to be among the ``largest``; 0 when all of them are."""
        if self.largest is None or not 0 < self.largest <= len(requests):
            return 0
        return sorted(requests, reverse=True)[self.largest - 1]


class Totals(Struct, kw_only=True, gc=False):  # of thousands in an answer, none can be in a cycle
    """What adds up: counts, bytes, micro-units, latency in microseconds of the ``timed`` requests and its sketch."""

    requests: int = 0
    errors: int = 0
    bytes: int = 0
    units: int = 0
    timed: int = 0
    elapsed: int = 0
    sketch: Sketch = b""

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            bytes=self.bytes + other.bytes,
            units=self.units + other.units,
            timed=self.timed + other.timed,
            elapsed=self.elapsed + other.elapsed,
            sketch=merge_sketches([self.sketch, other.sketch]),
        )


class UsageRow(Struct, frozen=True, kw_only=True, gc=False):
    """One group in one bucket: ``key`` has a value for each dimension of the query's ``group_by``, in its order.

    A route's value is ``(method, template, api, api_version)``, a consumer's ``(key, label)`` or None,
    a status its code.
    """

    start: int
    key: tuple[object, ...]
    totals: Totals
