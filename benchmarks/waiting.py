"""How long requests wait for the thread that delivers what was recorded of others."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from benchmarks.database import HOW_TO_GET_POSTGRESQL, VARIABLE, database
from benchmarks.table import Budget, Row
from benchmarks.waiting_worker import ARRIVALS, LOADS

__all__ = ["Spells", "calm", "interval", "measure_waiting"]

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
SEED, DRAWS = 4711, 400

Spells = list[list[int]]
"""What each request took in each of some spells, in microseconds."""


class _Figures(Struct, frozen=True):
    """What a worker prints, in microseconds, by load, by how requests arrive and by app."""

    one: float
    again: int
    taken: dict[str, dict[str, dict[str, Spells]]]


def measure_waiting(*, quick: bool) -> list[Row]:
    """Run every variant in processes of its own, by turns."""
    rounds, requests, spells = (1, 20, 1) if quick else (4, 1_000, 2)
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
    for load, (gaps, _) in LOADS.items():
        for (one, other, shown, budget), arrivals in itertools.product(COMPARED, ARRIVALS):
            ours, theirs = (
                [spell for found in rounds for spell in found.taken[load][arrivals][app]] for app in (one, other)
            )
            low, high = interval(ours, theirs)
            what = "nothing but the noise of the method" if one == "at rest again" else "Tollkeeper"
            row = Row(
                what=f"p99 at {load} of the load, {arrivals}: {what}, {name}",
                figure=_p99(calm(ours)),
                unit="µs",
                peer=shown,
                peer_figure=_p99(calm(theirs)),
                ratio=_ratio(ours, theirs),
                budget=budget,
                note=f"{low:.2f} to {high:.2f}; {1e6 / (gaps * median(found.one for found in rounds)):,.0f} requests/s",
            )
            rows.append(row)
    return rows


def calm(spells: Spells) -> list[int]:
    """All requests of the calmer half of the spells: of those whose own 99th percentile is the least."""
    return list(itertools.chain(*sorted(spells, key=_p99)[: (len(spells) + 1) // 2]))


def _ratio(ours: Spells, theirs: Spells) -> float:
    return _p99(calm(ours)) / max(1, _p99(calm(theirs)))


def _p99(taken: list[int]) -> int:
    return sorted(taken)[int(0.99 * (len(taken) - 1))]


def interval(ours: Spells, theirs: Spells) -> tuple[float, float]:
    """Between what the ratio lies in nine of ten cases, by drawing from the turns again and again (the bootstrap)."""
    chance = random.Random(SEED)
    draws = [chance.choices(range(len(ours)), k=len(ours)) for _ in range(DRAWS)]
    ratios = sorted(_ratio([ours[turn] for turn in draw], [theirs[turn] for turn in draw]) for draw in draws)
    return ratios[DRAWS // 20], ratios[-DRAWS // 20]


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
