"""What it takes to bill a month, and to prove it: time and memory, at many events and at a tenth of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.environments import cache_folder
from benchmarks.invoices_store import make_billing_store
from benchmarks.table import Budget, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["measure_invoices"]

ROOT = Path(__file__).parents[1]
WORKER = "benchmarks.invoices_worker"
CUSTOMERS, FEW_CUSTOMERS = 10_000, 60
LEAST_SECONDS, SECONDS_AN_EVENT = 300, 0.0005
MEGABYTE, MICRO = 1e6, 1e6
LINEAR, FLAT = Budget(1.1), Budget(1.1)
WORKS = {"run": ("the invoice run", "invoices finalized"), "prove": ("the proof of the month", "lines recomputed")}


class _Figures(Struct, frozen=True):
    """What a worker prints; ``peak`` in bytes, None where it cannot be told."""

    seconds: float
    peak: int | None
    done: int


def measure_invoices(*, quick: bool, events: int) -> list[Row]:
    """Bill and prove so many events of a month, and a tenth of them, of as many customers."""
    customers = FEW_CUSTOMERS if quick else CUSTOMERS
    small, large = (_measure(count, customers) for count in (events // 10, events))
    return [row for work in WORKS for row in _rows(work, small[work], large[work], events, customers)]


def _measure(events: int, customers: int) -> dict[str, _Figures]:
    """Let each work run in a process of its own, on a copy of the store."""
    store = make_billing_store(events, customers)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        copy = Path(folder) / "store.db"
        shutil.copyfile(store, copy)
        return {work: _run(work, copy, LEAST_SECONDS + SECONDS_AN_EVENT * events) for work in WORKS}


def _run(work: str, store: Path, timeout: float) -> _Figures:
    command = [sys.executable, "-m", WORKER, work, str(store)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise RuntimeError(f"The work {work!r} failed: {done.stderr}")
    return msgspec.json.decode(done.stdout, type=_Figures)


def _rows(work: str, small: _Figures, large: _Figures, events: int, customers: int) -> Iterator[Row]:
    what, unit = WORKS[work]
    title = f"{what}, {events:,} events of {customers:,} customers"
    few = f"the same with {events // 10:,} events"
    each, few_each = large.seconds / events * MICRO, small.seconds / (events // 10) * MICRO
    yield Row(
        what=f"Time an event: {title}",
        figure=each,
        unit="µs",
        peer=few,
        peer_figure=few_each,
        ratio=each / few_each,
        budget=LINEAR,
        note=f"{large.seconds:,.1f} s and {small.seconds:,.1f} s in all; {large.done:,} {unit}",
    )
    memory = f"Memory at most: {title}"
    if large.peak is None or small.peak is None:
        yield Row(what=memory, note="not run: it is read from /proc/self/status, which is not here")
        return
    yield Row(
        what=memory,
        figure=large.peak / MEGABYTE,
        unit="MB",
        peer=few,
        peer_figure=small.peak / MEGABYTE,
        ratio=large.peak / small.peak,
        budget=FLAT,
    )
