"""How long requests wait for the thread that delivers what was recorded of others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from benchmarks.database import HOW_TO_GET_POSTGRESQL, VARIABLE, database
from benchmarks.table import Budget, Row, beside

__all__ = ["measure_waiting"]

ROOT = Path(__file__).parents[1]
WORKER = "benchmarks.waiting_worker"
WORKER_SECONDS = 300
VARIANTS = {
    ("metadata", "null"): "metadata, sink that forgets",
    ("metadata", "sqlite"): "metadata, SQLite",
    ("metadata", "postgresql"): "metadata, PostgreSQL",
    ("bodies", "null"): "headers and redacted bodies, sink that forgets",
    ("bodies", "sqlite"): "headers and redacted bodies, SQLite",
}
BUDGET = Budget(1.1)
BARE, RESTING = "the bare app in the same process", "the same, its thread at rest"


class _Figures(Struct, frozen=True):
    """What a worker prints, in microseconds."""

    gap: float
    p99: dict[str, dict[str, float]]


def measure_waiting(*, quick: bool) -> list[Row]:
    """Run every variant in a process of its own, one after the other, for several rounds."""
    rounds, requests, blocks = (1, 20, 1) if quick else (3, 1_000, 5)
    found: dict[tuple[str, str], list[_Figures]] = {}
    for turn in range(rounds):
        for variant, name in VARIANTS.items():
            sys.stderr.write(f"Waiting, round {turn + 1} of {rounds}: {name}\n")
            if figures := _run(*variant, requests, blocks):
                found.setdefault(variant, []).append(figures)
    everything = [figures for rounds_of_one in found.values() for figures in rounds_of_one]
    noise = _rows("nothing (the noise of the method)", everything, "bare again", [("bare", BARE, None)])
    beside_what = [("at rest", RESTING, BUDGET), ("bare", BARE, None)]
    return noise + [
        row
        for key, name in VARIANTS.items()
        for row in (
            _rows(f"Tollkeeper, {name}", found[key], "at work", beside_what)
            if key in found
            else [Row(what=f"p99 of requests: Tollkeeper, {name}", note=HOW_TO_GET_POSTGRESQL)]
        )
    ]


def _rows(name: str, rounds: list[_Figures], ours: str, peers: list[tuple[str, str, Budget | None]]) -> list[Row]:
    note = f"{median(1e6 / figures.gap for figures in rounds):,.0f} requests/s"
    return [
        beside(
            f"p99 of requests that arrive {arrivals}: {name}",
            [figures.p99[arrivals][ours] for figures in rounds],
            shown,
            [figures.p99[arrivals][peer] for figures in rounds],
            unit="µs",
            budget=budget,
            note=note,
        )
        for peer, shown, budget in peers
        for arrivals in rounds[0].p99
    ]


def _run(level: str, sink: str, requests: int, blocks: int) -> _Figures | None:
    """Run one; None when it needs a PostgreSQL, and none is named."""
    if sink != "postgresql":
        return _run_worker(level, sink, requests, blocks)
    if address := os.environ.get(VARIABLE):
        with database(address) as url:
            return _run_worker(level, url, requests, blocks)
    return None


def _run_worker(level: str, sink: str, requests: int, blocks: int) -> _Figures:
    command = [sys.executable, "-m", WORKER, level, sink, str(requests), str(blocks)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WORKER_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"The variant {level}, {sink.partition(':')[0]} failed: {done.stderr}")
    return msgspec.json.decode(done.stdout, type=_Figures)
