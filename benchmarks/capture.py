"""What it costs a request to be captured: added time over the bare app, beside what others add."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from benchmarks.capture_worker import VARIANTS
from benchmarks.environments import PeerMissingError, peer_python
from benchmarks.table import Budget, Row, beside

__all__ = ["measure_capture"]

WORKER = Path(__file__).with_name("capture_worker.py")
WORKER_SECONDS = 180
PEERS = ("prometheus", "moesif", "monitoring_dashboard")
NAMES = {
    "bare": "nothing (the noise of the method)",
    "limit": "limit: WSGI wrapper, tuple to a deque",
    "metadata-null": "Tollkeeper, metadata, sink that forgets",
    "metadata-sqlite": "Tollkeeper, metadata, SQLite",
    "bodies-null": "Tollkeeper, headers and redacted bodies, sink that forgets",
    "bodies-sqlite": "Tollkeeper, headers and redacted bodies, SQLite",
    "prometheus": "prometheus_flask_exporter",
    "moesif": "Moesif, with bodies",
    "monitoring_dashboard": "Flask-MonitoringDashboard, level 1, SQLite",
}
BUDGET = Budget(0.35)


class _Round(Struct, frozen=True):
    """What a worker prints; microseconds."""

    added: float
    bare_p50: float
    bare_p99: float
    p99: float
    lost: int


def measure_capture(*, quick: bool) -> list[Row]:
    """Run every variant in a process of its own, one after the other, for several rounds."""
    rounds, requests, pairs = (1, 200, 2) if quick else (5, 1_000, 12)
    pythons: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for variant in VARIANTS:
        try:
            pythons[variant] = peer_python(variant, install=not quick) if variant in PEERS else Path(sys.executable)
        except PeerMissingError as error:
            missing[variant] = str(error)
    found: dict[str, list[_Round]] = {}
    for _ in range(rounds):
        for variant in [name for name in VARIANTS if name in pythons]:
            try:
                found.setdefault(variant, []).append(_run(pythons[variant], variant, requests, pairs))
            except PeerMissingError as error:
                missing[variant] = str(error)
                del pythons[variant]
    found = {variant: measured for variant, measured in found.items() if variant not in missing}
    rows = [*_added(found), *_slowest(found)]
    return rows + [Row(what=NAMES[variant], note=f"not run: {why}") for variant, why in missing.items()]


def _run(python: Path, variant: str, requests: int, pairs: int) -> _Round:
    command = [str(python), "-P", str(WORKER), variant, str(requests), str(pairs)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WORKER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise PeerMissingError(f"{NAMES[variant]} did not end within {WORKER_SECONDS} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        if variant in PEERS:
            raise PeerMissingError(f"it failed: {last}")
        raise RuntimeError(f"The variant {variant} failed: {done.stderr}")
    figures = next(line for line in done.stdout.splitlines() if line.startswith("{"))  # a peer may print, too
    return msgspec.json.decode(figures, type=_Round)


def _added(found: dict[str, list[_Round]]) -> list[Row]:
    """Rows of added p50; the variants that have a budget stand beside the peer that it names."""
    rows = []
    pairs = [(variant, "limit") for variant in found if variant not in {"limit", "bare"}]
    for variant, peer in (*pairs, *BUDGETED):
        if variant in found and peer in found:
            rows.append(
                beside(
                    f"Added p50: {NAMES[variant]}",
                    [figures.added for figures in found[variant]],
                    NAMES[peer],
                    [figures.added for figures in found[peer]],
                    unit="µs",
                    budget=BUDGET if (variant, peer) in BUDGETED else None,
                    note=_lost(found[variant]),
                )
            )
    noise = median(figures.added for figures in found["bare"])
    whole = median(figures.bare_p50 for figures in found["bare"])
    return [
        Row(what=f"Added p50: {NAMES['bare']}", figure=noise, unit="µs", peer="bare request", peer_figure=whole),
        *rows,
    ]


BUDGETED = (
    ("metadata-null", "prometheus"),
    ("metadata-sqlite", "prometheus"),
    ("bodies-null", "moesif"),
    ("bodies-sqlite", "moesif"),
)


def _slowest(found: dict[str, list[_Round]]) -> list[Row]:
    """Rows of p99: the whole request, because added percentiles do not subtract."""
    return [
        beside(
            f"p99 of a request: {NAMES[variant]}",
            [figures.p99 for figures in rounds],
            "the bare app in the same process",
            [figures.bare_p99 for figures in rounds],
            unit="µs",
        )
        for variant, rounds in found.items()
    ]


def _lost(rounds: list[_Round]) -> str:
    lost = sum(figures.lost for figures in rounds)
    return f"{lost:,} events dropped" if lost else ""
