"""Measure one way of watching a Flask app against the bare app, in one process.

``python -m benchmarks.capture_worker VARIANT REQUESTS PAIRS`` runs PAIRS times a block of bare requests and then
one of watched ones, one request after the other; then the same over a socket to a server. It prints one line of
JSON: by how much p50 grows, as the median over the pairs (a shared machine drifts from second to second), the 99th
percentiles, and how many requests were recorded. It runs in the peers' environments: nothing but Flask and the peer is
installed there.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.capture_app import call, make_app
from benchmarks.capture_ours import OURS
from benchmarks.capture_peers import PEERS
from benchmarks.capture_served import measure_served

if TYPE_CHECKING:
    from flask import Flask

    from benchmarks.capture_app import Watched

__all__ = ["block", "main", "measure", "percentile", "settle"]

BLOCK_SECONDS = 0.5
SETTLE_SECONDS = 20.0


def block(app: Flask, requests: int) -> list[int]:
    """Time requests one after the other, fewer when they take too long; nanoseconds."""
    until = time.monotonic() + BLOCK_SECONDS
    taken: list[int] = []
    while len(taken) < requests and time.monotonic() < until:
        taken.append(call(app))
    return taken


def settle(watched: Watched) -> None:
    """Let the threads of a variant finish, so that the bare block that follows has the process to itself."""
    until = time.monotonic() + SETTLE_SECONDS
    while not watched.settled() and time.monotonic() < until:
        time.sleep(0.01)


def percentile(values: list[int], share: float) -> float:
    """In microseconds."""
    return sorted(values)[int(share * (len(values) - 1))] / 1000


def measure(plain: Flask, watched: Watched, requests: int, pairs: int) -> dict[str, float]:
    """Blocks of requests one after the other; the CPU time is that of the whole process, until all has settled."""
    taken: dict[Flask, list[int]] = {plain: [], watched.app: []}
    added: list[float] = []
    cpu: list[float] = []
    for _ in range(pairs):
        p50: list[float] = []
        spent: list[float] = []
        for app, times in taken.items():
            began = time.process_time()
            found = block(app, requests)
            settle(watched)
            spent.append(1e6 * (time.process_time() - began) / len(found))
            p50.append(percentile(found, 0.5))
            times.extend(found)
        added.append(p50[1] - p50[0])
        cpu.append(spent[1] - spent[0])
    return {
        "added": statistics.median(added),
        "added_cpu": statistics.median(cpu),
        "bare_p50": percentile(taken[plain], 0.50),
        "bare_p99": percentile(taken[plain], 0.99),
        "p99": percentile(taken[watched.app], 0.99),
        "requests": len(taken[watched.app]),
    }


def main(variant: str, requests: int, pairs: int) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a peer may still be writing
        plain, watched = make_app(), (OURS | PEERS)[variant](Path(folder))
        for app in (plain, watched.app):
            warm = len(block(app, requests // 10 + 1))
        settle(watched)
        figures: dict[str, float | None] = {**measure(plain, watched, requests, pairs)}
        in_server = measure_served(plain, watched.app, lambda: settle(watched), requests // 2, pairs)
        warm += int(in_server.pop("requests"))
        figures |= in_server
        figures["requests"] = warm + (figures["requests"] or 0)
        figures["recorded"] = watched.recorded()
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
