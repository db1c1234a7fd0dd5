"""Whether memory stays flat over a million requests, with a sink that takes all of them and one that takes none."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.table import Budget, Row

__all__ = ["measure_memory"]

ROOT = Path(__file__).parents[1]
WORKER = "benchmarks.memory_worker"
STATM = Path("/proc/self/statm")
REQUESTS, FEW_REQUESTS = 1_000_000, 5_000
SECONDS_A_REQUEST, LEAST_SECONDS = 0.003, 60
MEGABYTE = 1e6
BUDGET = Budget(1.05)
NAMES = {
    "bare": "the bare app",
    "bodies-null": "Tollkeeper, headers and redacted bodies, sink that forgets",
    "bodies-down": "Tollkeeper, headers and redacted bodies, sink that is down",
}


class _Figures(Struct, frozen=True):
    """What a worker prints; bytes after a tenth of the requests, and after all."""

    early: int
    late: int
    recorded: int | None


def measure_memory(*, quick: bool) -> list[Row]:
    """Run the variants in processes beside one another: their speed does not matter."""
    requests = FEW_REQUESTS if quick else REQUESTS
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda key: _measure(key, requests), NAMES))


def _measure(key: str, requests: int) -> Row:
    what = f"Memory after {requests:,} requests: {NAMES[key]}"
    if not STATM.exists():
        return Row(what=what, note=f"not run: it is read from {STATM}, which is not here")
    figures = _run(key, requests)
    return Row(
        what=what,
        figure=figures.late / MEGABYTE,
        unit="MB",
        peer=f"the same process after {requests // 10:,}",
        peer_figure=figures.early / MEGABYTE,
        ratio=figures.late / figures.early,
        budget=None if key == "bare" else BUDGET,
        note="" if figures.recorded is None else f"{figures.recorded:,} of them recorded",
    )


def _run(key: str, requests: int) -> _Figures:
    command = [sys.executable, "-m", WORKER, key, str(requests)]
    seconds = LEAST_SECONDS + SECONDS_A_REQUEST * requests
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        raise RuntimeError(f"The variant {key} failed: {done.stderr}")
    return msgspec.json.decode(done.stdout, type=_Figures)
