"""Measure how long requests wait for the thread that delivers, in one process.

``python -m benchmarks.waiting_worker LEVEL SINK REQUESTS BLOCKS`` runs BLOCKS times, in an order that changes, a block
of a bare app, of another one, of one that is recorded at the LEVEL (``metadata`` or ``bodies``) for the SINK (``null``,
``sqlite`` or a URL), and of one whose thread is at rest, as its batches are due in an hour. Requests arrive at about
a third of what the bare app can do, and REQUESTS of each block count. It prints one line of JSON: the 99th percentiles
of the quietest block of each.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.capture_app import Watched, call, make_app
from benchmarks.capture_ours import tollkeeper
from benchmarks.capture_worker import block, percentile, settle

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["main", "measure_waiting", "paced_block"]

LEISURE = 1_000_000
"""Nanoseconds between requests that never meet."""
SEED = 4711
NEVER = {"TOLLKEEPER_FLUSH_SECONDS": 3600.0, "TOLLKEEPER_BATCH_EVENTS": 10_000}
ARRIVALS = ("evenly", "at random")


def paced_block(app: Flask, requests: int, gap: int, chance: random.Random | None = None) -> list[int]:
    """Time requests that arrive every ``gap`` nanoseconds, or by ``chance`` as often; each from when it arrives.

    So what kept the process from taking it up, or an earlier one from being finished, is in the time, as in a server.
    """
    arrival = time.perf_counter_ns()
    taken = []
    for _ in range(requests):
        arrival += gap if chance is None else round(chance.expovariate(1 / gap))
        wait = arrival - time.perf_counter_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        call(app)
        taken.append(time.perf_counter_ns() - arrival)
    return taken


def measure_waiting(apps: dict[str, Watched], requests: int, blocks: int) -> dict[str, Any]:
    """The 99th percentiles of each app in microseconds, by how requests arrive, and the ``gap`` between them.

    They arrive twice as far apart as one of the first app takes that has the process to itself, with the time to wake
    up. A thread waits for its first batch, so the first half of a block does not count.
    """
    first = next(iter(apps.values())).app
    gap = int(2000 * percentile(paced_block(first, requests // 5 + 1, LEISURE), 0.5))
    found: dict[str, dict[str, list[float]]] = {arrivals: {name: [] for name in apps} for arrivals in ARRIVALS}
    order = random.Random(SEED)
    for _ in range(blocks):
        for arrivals in ARRIVALS:
            for name in order.sample(list(apps), len(apps)):
                chance = random.Random(SEED) if arrivals == "at random" else None
                taken = paced_block(apps[name].app, 2 * requests, gap, chance)
                found[arrivals][name].append(percentile(taken[requests:], 0.99))
                settle(apps[name])
    quietest = {arrivals: {name: min(times) for name, times in by_name.items()} for arrivals, by_name in found.items()}
    return {"gap": gap / 1000, "p99": quietest}


def main(level: str, sink: str, requests: int, blocks: int) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        watch = partial(tollkeeper, level, None if sink == "null" else sink)
        apps = {
            "bare": Watched(make_app()),
            "bare again": Watched(make_app()),
            "at work": watch()(Path(folder)),
            "at rest": watch(config=NEVER)(Path(folder)),
        }
        for watched in apps.values():
            block(watched.app, requests // 5 + 1)
            settle(watched)
        figures = measure_waiting(apps, requests, blocks)
        if not (apps["at work"].recorded() and apps["at rest"].recorded()):
            raise RuntimeError("Tollkeeper recorded nothing.")
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
