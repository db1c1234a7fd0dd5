"""How long a page or an answer takes over sixty days of traffic, beside plain SQL over the events."""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING, Any

import httpx
from msgspec import Struct

from benchmarks.dataset import CONSUMERS, DAYS, START, make_files
from benchmarks.servers import tollkeeper_serving
from benchmarks.table import Budget, Row
from tollkeeper.metering.usage import Filters
from tollkeeper.metering.window import DAY
from tollkeeper.service.access import SESSION_COOKIE
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.request_log import list_events
from tollkeeper.service.usage import Period, figure, timeseries, top
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tollkeeper.store.protocols import EventStore

__all__ = ["measure_queries"]

PERIOD = Period(START, START + DAYS * DAY)
BUDGET = Budget(50.0, of="figure")
ROW_SECONDS, FEWEST, MOST = 20.0, 3, 40
BUSY, RARE = "customer-0", f"customer-{CONSUMERS - 1}"
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
            numbers = dict(_numbers(store))
            queries = _queries(service.events, connection, numbers)
            rows = [_measure(query, seconds) for query in queries]
            with tollkeeper_serving(store) as (url, secret):
                cookies = {SESSION_COOKIE: service.access.log_in_by_token(secret)}
                with httpx.Client(base_url=url, cookies=cookies, timeout=120) as client:
                    rows += [_measure(query, seconds) for query in _pages(client, connection)]
    finally:
        service.close()
    return rows


def _numbers(store: Path) -> Iterator[tuple[str, int]]:
    """The numbers of the two consumers that queries name."""
    with closing(sqlite3.connect(store)) as connection:
        yield from connection.execute("SELECT key, consumer_id FROM consumer WHERE key IN (?, ?)", (BUSY, _rare(store)))


def _queries(events: EventStore, plain: sqlite3.Connection, numbers: dict[str, int]) -> list[_Query]:
    raise NotImplementedError
