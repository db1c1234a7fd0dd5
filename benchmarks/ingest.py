"""How many events a second a real ``tollkeeper serve`` makes durable, beside what the machine could at best."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import msgspec
from msgspec import Struct

from benchmarks.servers import serving, tollkeeper_serving
from benchmarks.table import Budget, Row, beside

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HOW_TO_GET_WRK", "behind", "measure_ingest", "run_wrk", "watched", "wrk"]

SCRIPT = Path(__file__).with_name("wrk.lua")
HOW_TO_GET_WRK = "not run: wrk is missing, get it by `apt-get install wrk`"
LOADS = {
    "batches of 100, 16 connections": (100, 16, "sqlite", "limit: raw ASGI, group commit into SQLite, no roll-up"),
    "single events, 64 connections": (1, 64, "log", "limit: raw ASGI, append-only log with fsync"),
}
BUDGET = Budget(0.6, "at least")
BUDGET_LAG = Budget(2.0, of="figure")
BUDGET_P99 = Budget(5.0)
BUDGET_STORAGE = Budget(260.0, of="figure")
SAMPLE_SECONDS = 0.25
CATCH_UP_SECONDS = 120.0
METRIC = re.compile(r'^tollkeeper_(?:events_total\{.*outcome="stored".*\}|rollup_lag_events) (\S+)$', re.MULTILINE)


class Load(Struct, frozen=True):
    """What the Lua script prints; latencies in milliseconds."""

    requests: int
    seconds: float
    refused: int
    broken: int
    median: float
    p99: float


class _Measured(Struct, frozen=True):
    load: Load
    behind: float
    catch_up: float
    bytes_each: float
    raw_bytes_each: float


def measure_ingest(*, quick: bool) -> list[Row]:
    """Load the service and its limit in turns, each time on an empty file."""
    if shutil.which("wrk") is None:
        return [Row(what=f"Events/s, {name}", note=HOW_TO_GET_WRK) for name in LOADS]
    rounds, seconds = (1, 2) if quick else (3, 10)
    rows: list[Row] = []
    for name, (batch, connections, kind, limit) in LOADS.items():
        ours: list[_Measured] = []
        theirs: list[Load] = []
        for _ in range(rounds):
            ours.append(_measure_service(batch, connections, seconds))
            theirs.append(_measure_limit(kind, batch, connections, seconds))
        rows += _rows(name, batch, limit, ours, theirs)
    return rows


def _rows(name: str, batch: int, limit: str, ours: list[_Measured], theirs: list[Load]) -> list[Row]:
    acknowledged = [batch * round_.load.requests / round_.load.seconds for round_ in ours]
    possible = [batch * load.requests / load.seconds for load in theirs]
    medians, p99s = [round_.load.median for round_ in ours], [round_.load.p99 for round_ in ours]
    rows = [
        beside(f"Events/s, {name}", acknowledged, limit, possible, unit="/s", budget=BUDGET),
        beside(f"p99 of an acknowledgement, {name}", p99s, "its median", medians, unit="ms", budget=BUDGET_P99),
        beside(
            f"p99 of an acknowledgement by the limit, {name}",
            [load.p99 for load in theirs],
            "its median",
            [load.median for load in theirs],
            unit="ms",
        ),
        Row(
            what=f"Roll-ups behind at most, {name}",
            figure=max(round_.behind for round_ in ours),
            unit="s",
            budget=BUDGET_LAG,
            note=f"caught up {max(round_.catch_up for round_ in ours):.1f} s after the load at the latest",
        ),
    ]
    if batch > 1:
        rows.append(
            Row(
                what="Storage of an event with its indexes",
                figure=max(round_.raw_bytes_each for round_ in ours),
                unit="bytes",
                peer="the whole file, roll-ups of 8,000 keys and one hour included",
                peer_figure=max(round_.bytes_each for round_ in ours),
                budget=BUDGET_STORAGE,
            )
        )
    return rows


def _measure_limit(kind: str, batch: int, connections: int, seconds: int) -> Load:
    with (
        tempfile.TemporaryDirectory() as folder,
        serving("-m", "benchmarks.limits", kind, str(Path(folder) / "limit")) as url,
    ):
        return wrk(url, "none", batch, connections, seconds)


def _measure_service(batch: int, connections: int, seconds: int) -> _Measured:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "store.db"
        with tollkeeper_serving(file) as (url, token):
            with watched(url, token) as samples:
                load = wrk(url, token, batch, connections, seconds)
            ended = time.monotonic()
            stored, _ = wait_for_roll_ups(url, token)
            catch_up = time.monotonic() - ended
        if stored < load.requests * batch:
            raise RuntimeError(f"{load.requests * batch} events were acknowledged, {stored} are stored.")
        return _Measured(load, behind(samples), catch_up, file.stat().st_size / stored, _raw_bytes(file) / stored)


def wrk(url: str, token: str, batch: int, connections: int, seconds: int) -> Load:
    return run_wrk(SCRIPT, f"{url}/v1/events", connections, seconds, str(batch), token)


def run_wrk(script: Path, url: str, connections: int, seconds: int, *arguments: str) -> Load:
    """Load a URL; raises RuntimeError when anything was refused or broken."""
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    done = subprocess.run([*command, "--", *arguments], capture_output=True, text=True, check=True)
    load = msgspec.json.decode(done.stdout.splitlines()[-1], type=Load)
    if load.refused or load.broken or not load.requests:
        raise RuntimeError(f"The load went wrong: {done.stdout}{done.stderr}")
    return load


@contextmanager
def watched(url: str, token: str) -> Iterator[list[tuple[float, int, int]]]:
    """Sample ``(time, stored, waiting for the roll-ups)`` in a thread for as long as the block lasts."""
    samples: list[tuple[float, int, int]] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            samples.append((time.monotonic(), *_metrics(url, token)))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _metrics(url: str, token: str) -> tuple[int, int]:
    text = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"}, timeout=30).text
    *stored, waiting = (float(value) for value in METRIC.findall(text))
    return int(sum(stored)), int(waiting)


def wait_for_roll_ups(url: str, token: str) -> tuple[int, int]:
    until = time.monotonic() + CATCH_UP_SECONDS
    while (found := _metrics(url, token))[1]:
        if time.monotonic() > until:
            raise RuntimeError(f"The roll-ups are still {found[1]} events behind after {CATCH_UP_SECONDS} s.")
        time.sleep(SAMPLE_SECONDS)
    return found


def behind(samples: list[tuple[float, int, int]]) -> float:
    """The longest time for which a stored event was not in the roll-ups, in seconds, to within a sample."""
    longest = 0.0
    for now, stored, waiting in samples:
        folded = stored - waiting
        longest = max(longest, now - next(at for at, known, _ in samples if known > folded or at == now))
    return longest


def _raw_bytes(file: Path) -> int:
    """Bytes of the events and their indexes, by SQLite's own account; the whole file where it keeps none."""
    query = "SELECT SUM(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = 'event')"
    with closing(sqlite3.connect(file)) as connection:
        try:
            return int(connection.execute(query).fetchone()[0])
        except sqlite3.OperationalError:  # built without dbstat
            return file.stat().st_size
