"""How long a page or an answer takes over sixty days of traffic, beside plain SQL over the events."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING, Any

import httpx
from msgspec import Struct

from benchmarks.dataset import DAYS, START, make_files
from benchmarks.servers import tollkeeper_serving
from benchmarks.table import Budget, Row
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.metering.usage import Filters
from tollkeeper.metering.window import DAY
from tollkeeper.service.access import SESSION_COOKIE
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.figures import figure
from tollkeeper.service.periods import Period
from tollkeeper.service.request_log import list_events
from tollkeeper.service.usage import timeseries, top
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper.store.protocols import EventStore, StoredEvent

__all__ = ["measure_queries"]

PERIOD = Period(START, START + DAYS * DAY)
BUDGET = Budget(50.0, of="figure")
ROW_SECONDS, FEWEST, MOST = 20.0, 3, 40
SKETCH_ERROR = 0.011
LIMIT = "plain SQL over the events, with its indexes"

BY_DAY = "SELECT time / ?, route, COUNT(*) FROM event WHERE consumer = ? AND time >= ? AND time < ? GROUP BY 1, 2"
PERCENTILES = """
    SELECT route, MAX(elapsed) FILTER (WHERE place <= CAST(0.95 * (many - 1) AS INTEGER)) FROM (
        SELECT route, elapsed, ROW_NUMBER() OVER (PARTITION BY route ORDER BY elapsed) - 1 AS place,
            COUNT(*) OVER (PARTITION BY route) AS many
        FROM event WHERE time >= ? AND time < ?
    ) GROUP BY route
"""
TOP = """
    SELECT consumer, COUNT(*), SUM(status >= 400), SUM(bytes) FROM event WHERE time >= ? AND time < ?
    GROUP BY consumer ORDER BY 2 DESC LIMIT 10
"""
PAGE = "SELECT * FROM event WHERE time < ? ORDER BY time DESC, seq DESC LIMIT 50"
RARE_PAGE = "SELECT * FROM event WHERE consumer = ? ORDER BY time DESC LIMIT 50"
OVERVIEW = (
    "SELECT time / ?, status, COUNT(*), SUM(bytes), SUM(elapsed) FROM event WHERE time >= ? AND time < ? GROUP BY 1, 2",
    "SELECT time / ?, COUNT(DISTINCT consumer) FROM event WHERE time >= ? AND time < ? GROUP BY 1",
)


class _Consumer(Struct, frozen=True):
    """A consumer's key, and its number in the tables."""

    key: str
    number: int


class _Query(Struct, frozen=True):
    """A question, put to Tollkeeper and to plain SQL; ``agree`` compares their answers."""

    what: str
    ask: Callable[[], Any]
    ask_plain: Callable[[], Any] | None = None
    agree: Callable[[Any, Any], bool] = lambda _ours, _theirs: True


def measure_queries(*, quick: bool, events: int) -> list[Row]:
    """Ask in turns, and give the 95th percentile of each side."""
    store, plain = make_files(events)
    seconds = 0.3 if quick else ROW_SECONDS
    service = open_service(Settings(store=f"sqlite:///{store}"))
    try:
        with closing(sqlite3.connect(plain)) as connection:
            busy, rare = _extremes(store, connection)
            rows = [_measure(query, seconds) for query in _queries(service.events, connection, busy, rare)]
            with tollkeeper_serving(store) as (url, secret):
                cookies = {SESSION_COOKIE: service.access.log_in_by_token(secret)}
                with httpx.Client(base_url=url, cookies=cookies, timeout=120) as client:
                    rows += [_measure(query, seconds) for query in _pages(client, connection, rare)]
    finally:
        service.close()
    return rows


def _measure(query: _Query, seconds: float) -> Row:
    """Ask for so long, but not more often than is needed; the first answers warm the caches and are compared."""
    theirs = query.ask_plain() if query.ask_plain else None
    if not query.agree(query.ask(), theirs):
        raise RuntimeError(f"Tollkeeper and plain SQL do not agree: {query.what}.")
    ours_ms: list[float] = []
    plain_ms: list[float] = []
    until = time.monotonic() + seconds
    while len(ours_ms) < FEWEST or (len(ours_ms) < MOST and time.monotonic() < until):
        ours_ms.append(_milliseconds(query.ask))
        if query.ask_plain:
            plain_ms.append(_milliseconds(query.ask_plain))
    figure_ms, plain_figure = _p95(ours_ms), _p95(plain_ms) if plain_ms else None
    return Row(
        what=f"p95: {query.what}",
        figure=figure_ms,
        unit="ms",
        peer=LIMIT if plain_figure else "",
        peer_figure=plain_figure,
        ratio=figure_ms / plain_figure if plain_figure else None,
        budget=BUDGET,
        note=f"median {median(ours_ms):.3g} ms of {len(ours_ms)}",
    )


def _milliseconds(ask: Callable[[], Any]) -> float:
    started = time.perf_counter()
    ask()
    return (time.perf_counter() - started) * 1000


def _p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _extremes(store: Path, plain: sqlite3.Connection) -> tuple[_Consumer, _Consumer]:
    """Find the consumer with the most events, and one with the fewest."""
    numbers = [
        plain.execute(f"SELECT consumer FROM event GROUP BY 1 ORDER BY COUNT(*) {order}, 1 LIMIT 1").fetchone()[0]
        for order in ("DESC", "ASC")
    ]
    with closing(sqlite3.connect(store)) as connection:
        query = "SELECT key FROM consumer WHERE consumer_id = ?"
        busy, rare = (_Consumer(connection.execute(query, (number,)).fetchone()[0], number) for number in numbers)
    return busy, rare


def _queries(events: EventStore, plain: sqlite3.Connection, busy: _Consumer, rare: _Consumer) -> list[_Query]:
    span = (PERIOD.start, PERIOD.end)

    def ask_plain(sql: str, *values: object) -> Callable[[], list[Any]]:
        return lambda: plain.execute(sql, values).fetchall()

    return [
        _Query(
            "60 days by day and route of the busiest consumer",
            lambda: timeseries(
                events, "requests", PERIOD, step=DAY, group_by="route", filters=Filters(consumer=busy.key), limit=1_000
            ),
            ask_plain(BY_DAY, DAY, busy.number, *span),
            lambda ours, theirs: (
                sum(value or 0 for series in ours.series for value in series.values) == sum(row[2] for row in theirs)
            ),
        ),
        _Query(
            "percentiles by route over 60 days",
            lambda: top(events, "route", PERIOD, metric="latency_p95", limit=None),
            ask_plain(PERCENTILES, *span),
            lambda ours, theirs: _close(
                [figure("latency_p95", row.totals) or 0.0 for row in ours], [row[1] / 1e6 for row in theirs]
            ),
        ),
        _Query(
            "top ten consumers of 60 days",
            lambda: top(events, "consumer", PERIOD),
            ask_plain(TOP, *span),
            _same_top,
        ),
        _Query(
            "a page of the request log",
            lambda: list_events(events).events,
            ask_plain(PAGE, PERIOD.end),
            _same_events,
        ),
        _Query(
            "a page of the request log, filtered by the rarest consumer",
            lambda: list_events(events, filters=Filters(consumer=rare.key)).events,
            ask_plain(RARE_PAGE, rare.number),
            _same_events,
        ),
    ]


def _pages(client: httpx.Client, plain: sqlite3.Connection, rare: _Consumer) -> list[_Query]:
    days = {"from": _day(0), "to": _day(DAYS)}

    def get(path: str, **query: str) -> Callable[[], str]:
        return lambda: client.get(path, params=days | query).raise_for_status().text

    def overview_plain() -> list[Any]:
        found = [plain.execute(sql, (DAY, PERIOD.start, PERIOD.end)).fetchall() for sql in OVERVIEW]
        return [*found, plain.execute(TOP, (PERIOD.start, PERIOD.end)).fetchall()]

    return [
        _Query("the Overview page, 60 days, over HTTP", get("/"), overview_plain),
        _Query("the Overview page, the last day of them, over HTTP", get("/", **{"from": _day(DAYS - 1)})),
        _Query("the Endpoints page, 60 days, over HTTP", get("/endpoints")),
        _Query("the Request log, 60 days, over HTTP", get("/requests")),
        _Query("the Request log of the rarest consumer, 60 days, over HTTP", get("/requests", consumer=rare.key)),
    ]


def _day(number: int) -> str:
    return from_microseconds(START + number * DAY).strftime("%Y-%m-%dT%H:%M")


def _close(ours: list[float], theirs: list[float]) -> bool:
    """Whether two sets of latencies are the same but for the error of a sketch."""
    pairs = zip(sorted(ours), sorted(theirs), strict=True)
    return all(abs(one - other) <= SKETCH_ERROR * other for one, other in pairs)


def _same_top(ours: Any, theirs: Any) -> bool:
    """The same counts, and the same sums where the last place, which several may share, does not decide."""
    found = [(row.totals.requests, row.totals.errors, row.totals.bytes) for row in ours]
    wanted = [row[1:] for row in theirs]
    last = wanted[-1][0]
    return [row[0] for row in found] == [row[0] for row in wanted] and sorted(
        row for row in found if row[0] > last
    ) == sorted(row for row in wanted if row[0] > last)


def _same_events(ours: list[StoredEvent], theirs: list[tuple[int, ...]]) -> bool:
    return [stored.seq for stored in ours] == [row[0] for row in theirs]
