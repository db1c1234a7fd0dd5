"""Measure how long requests wait for the thread that delivers, in one process.

``python -m benchmarks.waiting_worker LEVEL SINK REQUESTS SPELLS SEED`` runs SPELLS times, in an order that changes, a
spell of REQUESTS to a bare app, to one that is recorded at the LEVEL (``metadata`` or ``bodies``) for the SINK
(``null``, ``sqlite`` or a URL), to one whose thread is at rest, as its batches are due in an hour, and to another one
of those; all that at each of the LOADS. It prints one line of JSON: what each request took, in microseconds, by load,
by how they arrive, by app and by spell; what one takes that has the process to itself; how many spells were done again.
"""

from __future__ import annotations

import gc
import itertools
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
from tollkeeper.capture.queue import QueueLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

__all__ = ["main", "measure_waiting", "paced_block", "stolen"]

Taken = dict[str, dict[str, dict[str, list[list[int]]]]]

LEISURE = 1_000_000
"""Nanoseconds between requests that never meet."""
NEVER = {"TOLLKEEPER_FLUSH_SECONDS": 3600.0, "TOLLKEEPER_BATCH_EVENTS": 10_000}
ARRIVALS = ("evenly", "at random")
LOADS = {"a third": (2, 1.0), "a tenth": (20 / 3, 0.4)}
"""Of what the bare app can do, about: how many times as far apart as one takes they come; the share of a spell."""
STAT = Path("/proc/stat")
TRIES = 4
"""How often a spell is done, until the machine was ours for all of it."""


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


def stolen() -> int:
    """For how many ticks of the kernel a virtual machine wanted to run, and another one did; 0 where nobody counts."""
    try:
        return int(STAT.read_text().split(maxsplit=9)[8])
    except OSError:
        return 0


def measure_waiting(
    apps: dict[str, Watched],
    resting: set[str],
    requests: int,
    spells: int,
    *,
    seed: int,
    lost: Callable[[], int] = stolen,
) -> dict[str, Any]:
    """What each request took, in microseconds: ``taken[load][arrivals][app][spell]``, and what ``one`` takes.

    That is one of the first app which has the process to itself, with the time to wake up. Before each spell come as
    many as fill a batch, which is what a thread then has to deliver; of the ``resting`` apps they are flushed first. A
    spell in which ``lost`` has grown is done again, a few times; ``again`` counts that.
    """
    first = next(iter(apps.values())).app
    one = percentile(paced_block(first, requests // 5 + 1, LEISURE), 0.5)
    taken: Taken = {load: {arrivals: {name: [] for name in apps} for arrivals in ARRIVALS} for load in LOADS}
    order = random.Random(seed)
    again = 0
    for _, (load, (gaps, share)), arrivals in itertools.product(range(spells), LOADS.items(), ARRIVALS):
        moments = order.random()  # the same ones for each app
        for name in order.sample(list(apps), len(apps)):
            for attempt in range(TRIES):
                chance = random.Random(moments) if arrivals == "at random" else None
                _prepare(apps[name], rests=name in resting)
                before = lost()
                spell = paced_block(apps[name].app, int(requests * share), int(gaps * one * 1000), chance)
                whole = lost() == before
                if name in resting and _delivers(apps[name].app, len(spell)):
                    raise RuntimeError(f"The thread that was to rest has delivered: {name}.")
                settle(apps[name])
                if whole or attempt == TRIES - 1:
                    taken[load][arrivals][name].append([nanoseconds // 1000 for nanoseconds in spell])
                    break
                again += 1
    return {"one": one, "again": again, "taken": taken}


def _prepare(watched: Watched, *, rests: bool) -> None:
    for _ in range(QueueLimits().batch_events):  # all, however long it takes
        call(watched.app)
    if rests:
        settle(watched)


def _delivers(app: Flask, requests: int) -> bool:
    [queue] = app.extensions["tollkeeper"]._recorder._queues  # noqa: SLF001 - nobody else asks whether it has begun
    return bool(queue.stats().queued != requests or queue._in_hand)  # noqa: SLF001 - as above


def main(level: str, sink: str, requests: int, spells: int, seed: int) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        watch = partial(tollkeeper, level, None if sink == "null" else sink)
        apps = {"bare": Watched(make_app())}
        for name, config in (("at work", {}), ("at rest", NEVER), ("at rest again", NEVER)):
            (Path(folder) / name).mkdir()
            apps[name] = watch(config=config)(Path(folder) / name)
        for watched in apps.values():
            block(watched.app, requests // 5 + 1)
            settle(watched)
        # All of them are in one process: what they are made of would be gone through for each of them, which takes
        # tens of milliseconds and meets one spell in ten. What requests leave behind still is.
        gc.collect()
        gc.freeze()
        figures = measure_waiting(apps, {"at rest", "at rest again"}, requests, spells, seed=seed)
        if not (apps["at work"].recorded() and apps["at rest"].recorded()):
            raise RuntimeError("Tollkeeper recorded nothing.")
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
