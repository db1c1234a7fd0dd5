"""How long requests wait for the thread that delivers what was recorded of others."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from benchmarks.database import HOW_TO_GET_POSTGRESQL, VARIABLE, database
from benchmarks.table import Budget, Row, beside

__all__ = ["interval", "measure_waiting"]

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
BARE, RESTING = "the bare app in the same process", "its thread at rest"

# What is set beside what: the noise of the method, the thread, and all of Tollkeeper.
COMPARED = [
    ("at rest again", "at rest", RESTING, None),
    ("at work", "at rest", RESTING, BUDGET),
    ("at work", "bare", BARE, None),
]
SEED, DRAWS = 4711, 2_000


class _Figures(Struct, frozen=True):
    """What a worker prints, in microseconds: a 99th percentile for each spell; ``again`` counts the lost ones."""

    gap: float
    again: int
    p99: dict[str, dict[str, list[float]]]


def measure_waiting(*, quick: bool) -> list[Row]:
    """Run every variant in processes of its own, by turns."""
    rounds, requests, spells = (1, 20, 1) if quick else (4, 1_000, 5)
    found: dict[tuple[str, str], list[_Figures]] = {}
    for turn in range(rounds):
        for variant, name in VARIANTS.items():
            sys.stderr.write(f"Waiting, round {turn + 1} of {rounds}: {name}\n")
            if figures := _run(*variant, requests, spells, SEED + turn):
                found.setdefault(variant, []).append(figures)
    return [
        row
        for key, name in VARIANTS.items()
        for row in (
            _rows(name, found[key])
            if key in found
            else [Row(what=f"p99 of requests: Tollkeeper, {name}", note=HOW_TO_GET_POSTGRESQL)]
        )
    ]


def _rows(name: str, rounds: list[_Figures]) -> list[Row]:
    rows = []
    for one, other, shown, budget in COMPARED:
        for arrivals in rounds[0].p99:
            ours, theirs = ([p99 for found in rounds for p99 in found.p99[arrivals][app]] for app in (one, other))
            low, high = interval([mine / its for mine, its in zip(ours, theirs, strict=True)])
            what = "nothing but the noise of the method" if one == "at rest again" else "Tollkeeper"
            note = f"{low:.2f} to {high:.2f}; {1e6 / median(found.gap for found in rounds):,.0f} requests/s"
            title = f"p99 of requests that arrive {arrivals}: {what}, {name}"
            rows.append(beside(title, ours, shown, theirs, unit="µs", budget=budget, note=note))
    return rows


def interval(ratios: list[float]) -> tuple[float, float]:
    """Between what their median lies in nine of ten cases, by drawing from them again and again (the bootstrap)."""
    chance = random.Random(SEED)
    medians = sorted(median(chance.choices(ratios, k=len(ratios))) for _ in range(DRAWS))
    return medians[DRAWS // 20], medians[-DRAWS // 20]


def _run(level: str, sink: str, *numbers: int) -> _Figures | None:
    """Run one; None when it needs a PostgreSQL, and none is named."""
    if sink != "postgresql":
        return _run_worker(level, sink, *numbers)
    if address := os.environ.get(VARIABLE):
        with database(address) as url:
            return _run_worker(level, url, *numbers)
    return None


def _run_worker(level: str, sink: str, *numbers: int) -> _Figures:
    command = [sys.executable, "-m", WORKER, level, sink, *map(str, numbers)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WORKER_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"The variant {level}, {sink.partition(':')[0]} failed: {done.stderr}")
    return msgspec.json.decode(done.stdout, type=_Figures)
