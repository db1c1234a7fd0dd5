"""How fast answers are: best, average and percentiles, by API and by route, from roll-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from msgspec import Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.metering.sketch import quantile
from tollkeeper.metering.usage import Filters, Totals, UsageQuery

if TYPE_CHECKING:
    from tollkeeper.service.periods import Period
    from tollkeeper.store.protocols import UsageStore

__all__ = ["ResponseTimes", "TimesBy", "response_times"]

TimesBy = Literal["api", "route"]


class ResponseTimes(Struct, frozen=True, kw_only=True):
    """Times in seconds of the ``timed`` requests, None without one; best, p50 and p95 are within 1 %.

    ``method`` and ``route`` are None where times are by API, ``api`` and ``api_version`` where calls name none.
    """

    api: str | None
    api_version: str | None
    method: str | None
    route: str | None
    requests: int
    timed: int
    best: float | None
    average: float | None
    p50: float | None
    p95: float | None


def response_times(
    store: UsageStore, by: TimesBy, period: Period, *, filters: Filters | None = None, limit: int | None = None
) -> list[ResponseTimes]:
    """Tell the times of each API and version, or of each route, those with the most requests first.

    Raises InvalidRequestError for a period that ends before it starts.
    """
    if period.end <= period.start:
        raise InvalidRequestError("The period ends before it starts: give from < to.")
    query = UsageQuery(
        start=period.start, end=period.end, group_by=("route",), filters=filters or Filters(), sketches=True
    )
    found: dict[tuple[str | None, ...], Totals] = {}
    for row in store.usage(query):
        method, route, api, version = cast("tuple[str, str, str | None, str | None]", row.key[0])
        key = (api, version, None, None) if by == "api" else (api, version, method, route)
        found[key] = found[key] + row.totals if key in found else row.totals
    ranked = sorted(found.items(), key=lambda item: (-item[1].requests, [part or "" for part in item[0]]))
    return [_times(key, totals) for key, totals in ranked[:limit]]


def _times(key: tuple[str | None, ...], totals: Totals) -> ResponseTimes:
    api, version, method, route = key
    return ResponseTimes(
        api=api,
        api_version=version,
        method=method,
        route=route,
        requests=totals.requests,
        timed=totals.timed,
        best=quantile(totals.sketch, 0),
        average=totals.elapsed / totals.timed / 1e6 if totals.timed else None,
        p50=quantile(totals.sketch, 0.5),
        p95=quantile(totals.sketch, 0.95),
    )
