"""What it costs a request to be decided about in the app, on a lease: beside Flask-Limiter, and a bare view."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.environments import PeerMissingError, peer_python
from benchmarks.table import Budget, Row, beside

__all__ = ["measure_leases"]

ROOT = Path(__file__).parents[1]
WORKER = "benchmarks.lease_worker"
WORKER_SECONDS = 120
PEER = "flask_limiter"
DECISION = Budget(5.0, of="figure")


class Round(Struct, frozen=True, kw_only=True):
    """What a worker prints, in microseconds."""

    added: float
    bare: float
    decision: float | None = None


def measure_leases(*, quick: bool) -> list[Row]:
    """Run each variant in a process of its own, one after the other, for several rounds."""
    rounds, requests, pairs = (1, 100, 2) if quick else (5, 1_000, 7)
    variants = {"capture": Path(sys.executable), "gate": Path(sys.executable)}
    note = ""
    try:
        variants[PEER] = peer_python(PEER, install=not quick)
    except PeerMissingError as error:
        note = f"not run: {error}"
    found: dict[str, list[Round]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, python in variants.items():
            found[name].append(_run(python, name, requests, pairs))
    rows = _rows(found)
    return [*rows, Row(what="Added p50: Flask-Limiter in memory", note=note)] if note else rows


def _rows(found: dict[str, list[Round]]) -> list[Row]:
    gated = [one.added for one in found["gate"]]
    bare = [one.bare for one in found["gate"]]
    decisions = [one.decision or 0.0 for one in found["gate"]]
    captured = [one.added for one in found["capture"]]
    rows = [
        beside("A decision on a lease, written down", decisions, "a bare view", bare, unit="µs", budget=DECISION),
        beside("Added p50: captured and gated", gated, "captured only", captured, unit="µs"),
    ]
    if PEER in found:
        theirs = [one.added for one in found[PEER]]
        rows.append(beside("Added p50: captured and gated", gated, "Flask-Limiter in memory", theirs, unit="µs"))
    return rows


def _run(python: Path, variant: str, requests: int, pairs: int) -> Round:
    command = [str(python), "-m", WORKER, variant, str(requests), str(pairs)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WORKER_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"The variant {variant} failed: {done.stderr}")
    return msgspec.json.decode(done.stdout.strip().splitlines()[-1], type=Round)
