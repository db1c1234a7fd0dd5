"""Measure how long requests wait for the thread that delivers, in one process.

``python -m benchmarks.waiting_worker LEVEL SINK REQUESTS SPELLS`` runs SPELLS times, in an order that changes, a spell
of REQUESTS to an app that is recorded at the LEVEL (``metadata`` or ``bodies``) for the SINK (``null``, ``sqlite`` or a
URL), to one whose thread is at rest, as its batches are due in an hour, to another one of these, and to that again,
beside a thread that does nothing but wake up. Requests arrive at about half of what the bare app can do. It prints one
line of JSON: the 99th percentiles of each.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from benchmarks.capture_app import Watched, call, make_app
from benchmarks.capture_ours import tollkeeper
from benchmarks.capture_worker import block, percentile, settle
from tollkeeper.capture.queue import QueueLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from flask import Flask

__all__ = ["main", "measure_waiting", "napping", "paced_block", "quiet_p99"]

LEISURE = 1_000_000
"""Nanoseconds between requests that never meet."""
SEED = 4711
NEVER = {"TOLLKEEPER_FLUSH_SECONDS": 3600.0, "TOLLKEEPER_BATCH_EVENTS": 10_000}
ARRIVALS = ("evenly", "at random")
PIECE = 250
NAP_SECONDS = 0.0004


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


def quiet_p99(spells: Sequence[Sequence[int]]) -> float:
    """The 99th percentile in the quieter half of the time, in microseconds.

    Somebody else on the machine now and then takes the processor away for many milliseconds, and all requests that
    arrive meanwhile are late: where that falls decides on the percentile of a spell. So spells are cut into pieces of
    250 requests, and those with the lower 99th percentiles count, together. What happens to one request in fifty
    happens in nearly all pieces, and cannot hide.
    """
    pieces = [spell[at : at + PIECE] for spell in spells for at in range(0, len(spell), PIECE)]
    pieces.sort(key=lambda piece: percentile(list(piece), 0.99))
    return percentile(list(chain.from_iterable(pieces[: (len(pieces) + 1) // 2])), 0.99)


@contextmanager
def napping() -> Iterator[None]:
    """Have a thread that only wakes up, as often as one that delivers at leisure; it does next to nothing."""
    over = threading.Event()

    def nap() -> None:
        while not over.is_set():
            time.sleep(NAP_SECONDS)

    thread = threading.Thread(target=nap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def measure_waiting(
    bare: Flask,
    apps: Mapping[str, Watched],
    requests: int,
    spells: int,
    company: Mapping[str, Callable[[], AbstractContextManager[None]]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The 99th percentiles of each app in microseconds, by how requests arrive, and the ``gap`` between them.

    They arrive twice as far apart as one of the bare app takes that has the process to itself, with the time to wake
    up. Before each spell come as many as fill a batch, so that the thread has something to deliver. During the spells
    of an app, there is the ``company`` of its name.
    """
    gap = int(2000 * percentile(paced_block(bare, requests // 5 + 1, LEISURE), 0.5))
    found: dict[str, dict[str, list[list[int]]]] = {arrivals: {name: [] for name in apps} for arrivals in ARRIVALS}
    order = random.Random(SEED)
    for spell in range(spells):
        for arrivals in ARRIVALS:
            for name in order.sample(list(apps), len(apps)):
                chance = random.Random(SEED + spell) if arrivals == "at random" else None
                for _ in range(QueueLimits().batch_events):
                    call(apps[name].app)
                with company.get(name, nullcontext)():
                    found[arrivals][name].append(paced_block(apps[name].app, requests, gap, chance))
                settle(apps[name])
    return {
        "gap": gap / 1000,
        "p99": {
            arrivals: {name: quiet_p99(taken) for name, taken in by_name.items()} for arrivals, by_name in found.items()
        },
    }


def main(level: str, sink: str, requests: int, spells: int) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        watch = partial(tollkeeper, level, None if sink == "null" else sink)
        bare = Watched(make_app())
        at_rest = watch(config=NEVER)(Path(folder))
        apps = {
            "at work": watch()(Path(folder)),
            "at rest": at_rest,
            "at rest again": watch(config=NEVER)(Path(folder)),
            "beside naps": at_rest,
        }
        for watched in (bare, *apps.values()):
            block(watched.app, requests // 5 + 1)
            settle(watched)
        figures = measure_waiting(bare.app, apps, requests, spells, {"beside naps": napping})
        if not all(watched.recorded() for watched in apps.values()):
            raise RuntimeError("Tollkeeper recorded nothing.")
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
