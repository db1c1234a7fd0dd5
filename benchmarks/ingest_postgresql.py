"""How many events a second ``tollkeeper serve`` makes durable in PostgreSQL, beside COPY into a plain table.

``python -m benchmarks.ingest_postgresql URL`` serves the limit on a free port, which it prints.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

import psycopg
from msgspec import Struct

from benchmarks.database import HOW_TO_GET_POSTGRESQL, VARIABLE, database
from benchmarks.ingest import HOW_TO_GET_WRK, Load, behind, wait_for_roll_ups, watched, wrk
from benchmarks.limits import decode, row, serve
from benchmarks.servers import serving, tollkeeper_serving
from benchmarks.table import Row, beside

if TYPE_CHECKING:
    from benchmarks.limits import Write

__all__ = ["measure_ingest_postgresql"]

LOADS = {"batches of 100, 16 connections": (100, 16), "single events, 64 connections": (1, 64)}
LIMIT = "limit: raw ASGI, group commit by COPY, no id checked, no index"
TABLE = """
    CREATE TABLE plain (id TEXT, time TIMESTAMPTZ, method TEXT, path TEXT, route TEXT, status INTEGER, consumer TEXT,
        elapsed DOUBLE PRECISION, bytes BIGINT, client BYTEA)
"""


class _Measured(Struct, frozen=True):
    load: Load
    behind: float
    catch_up: float


def measure_ingest_postgresql(*, quick: bool) -> list[Row]:
    """Load the service and its limit in turns, each time on an empty database."""
    address = os.environ.get(VARIABLE)
    if not address or shutil.which("wrk") is None:
        note = HOW_TO_GET_WRK if address else HOW_TO_GET_POSTGRESQL
        return [Row(what=f"Events/s into PostgreSQL, {name}", note=note) for name in LOADS]
    rounds, seconds = (1, 2) if quick else (3, 10)
    rows: list[Row] = []
    for name, (batch, connections) in LOADS.items():
        ours: list[_Measured] = []
        theirs: list[Load] = []
        for _ in range(rounds):
            with database(address) as url:
                ours.append(_measure_service(url, batch, connections, seconds))
            with database(address) as url, serving("-m", "benchmarks.ingest_postgresql", url) as limit:
                theirs.append(wrk(limit, "none", batch, connections, seconds))
        figures = [batch * round_.load.requests / round_.load.seconds for round_ in ours]
        possible = [batch * load.requests / load.seconds for load in theirs]
        rows.append(beside(f"Events/s into PostgreSQL, {name}", figures, LIMIT, possible, unit="/s"))
        rows.append(
            Row(
                what=f"Roll-ups in PostgreSQL behind at most, {name}",
                figure=max(round_.behind for round_ in ours),
                unit="s",
                note=f"caught up {max(round_.catch_up for round_ in ours):.1f} s after the load at the latest",
            )
        )
    return rows


def _measure_service(url: str, batch: int, connections: int, seconds: int) -> _Measured:
    with tollkeeper_serving(url) as (address, token):
        with watched(address, token) as samples:
            load = wrk(address, token, batch, connections, seconds)
        ended = time.monotonic()
        stored, _ = wait_for_roll_ups(address, token)
    if stored < load.requests * batch:
        raise RuntimeError(f"{load.requests * batch} events were acknowledged, {stored} are stored.")
    return _Measured(load, behind(samples), time.monotonic() - ended)


def _copy_writer(url: str) -> Write:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute(TABLE)

    def write(bodies: list[bytes]) -> None:
        with connection.cursor().copy("COPY plain FROM STDIN") as copy:
            for body in bodies:
                for event in decode(body):
                    copy.write_row(row(event))

    return write


if __name__ == "__main__":
    serve("postgresql", _copy_writer(sys.argv[1]))
