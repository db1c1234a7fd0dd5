"""What it costs a request to be captured: added time over the bare app, beside what others add."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from benchmarks.environments import PeerMissingError, peer_python
from benchmarks.table import Budget, Row, beside

__all__ = ["VARIANTS", "Variant", "check", "measure_capture"]

ROOT = Path(__file__).parents[1]
WORKER = "benchmarks.capture_worker"
WORKER_SECONDS = 180


class Variant(Struct, frozen=True):
    """A way of watching: its name in the table, and the environment of a peer."""

    name: str
    environment: str = ""


VARIANTS = {
    "bare": Variant("nothing (the noise of the method)"),
    "limit": Variant("limit: WSGI wrapper, tuple to a deque"),
    "metadata-null": Variant("Tollkeeper, metadata, sink that forgets"),
    "metadata-sqlite": Variant("Tollkeeper, metadata, SQLite"),
    "bodies-null": Variant("Tollkeeper, headers and redacted bodies, sink that forgets"),
    "bodies-sqlite": Variant("Tollkeeper, headers and redacted bodies, SQLite"),
    "prometheus": Variant("prometheus_flask_exporter", "prometheus"),
    "moesif": Variant("Moesif, with bodies", "moesif"),
    "apitally_0-metadata": Variant("Apitally 0.25, metadata", "apitally_0"),
    "apitally_0-requests": Variant("Apitally 0.25, headers and bodies of requests, headers of answers", "apitally_0"),
    "apitally_0-bodies": Variant("Apitally 0.25, headers and bodies", "apitally_0"),
    "apitally_1-metadata": Variant("Apitally 1.0, metadata", "apitally_1"),
    "apitally_1-bodies": Variant("Apitally 1.0, headers and bodies", "apitally_1"),
    "opentelemetry": Variant("OpenTelemetry Flask, BatchSpanProcessor", "opentelemetry"),
    "readme-100": Variant("readme-metrics 3.4, with bodies, buffer of 100", "readme"),
    "readme-1": Variant("readme-metrics 3.4, with bodies, buffer of 1", "readme"),
    "readme-compat": Variant("Tollkeeper's readme_metrics, with bodies, buffer of 100"),
    "monitoring_dashboard": Variant("Flask-MonitoringDashboard, level 1, SQLite", "monitoring_dashboard"),
    "chest-sqlite": Variant("Tollkeeper's flask_chest, three variables, SQLite"),
    "chest-sqlite-full": Variant("Tollkeeper's flask_chest, three variables, SQLite, on disk"),
    "flask_chest": Variant("Flask-Chest, three variables, SQLite, on disk", "flask_chest"),
}
BUDGETS = {
    ("metadata-null", "prometheus"): Budget(0.35),
    ("metadata-sqlite", "prometheus"): Budget(0.35),
    ("bodies-null", "moesif"): Budget(0.35),
    ("bodies-sqlite", "moesif"): Budget(0.35),
    ("readme-compat", "readme-100"): Budget(0.25),
    ("chest-sqlite", "flask_chest"): Budget(0.05),
}
BARE = "the bare app in the same process"


class Round(Struct, frozen=True, kw_only=True):
    """What a worker prints; times in microseconds. Nobody counts what the bare app records."""

    added: float
    added_cpu: float
    bare_p50: float
    bare_p99: float
    p99: float
    requests: int
    recorded: int | None
    served: float
    served_bare: float


def measure_capture(*, quick: bool) -> list[Row]:
    """Run every variant in a process of its own, one after the other, for several rounds."""
    rounds, requests, pairs = (1, 200, 2) if quick else (5, 1_000, 5)
    pythons: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for key, variant in VARIANTS.items():
        try:
            pythons[key] = _python(variant, install=not quick)
        except PeerMissingError as error:
            missing[key] = str(error)
    found: dict[str, list[Round]] = {}
    for turn in range(rounds):
        for key in [key for key in VARIANTS if key in pythons]:
            sys.stderr.write(f"Capture, round {turn + 1} of {rounds}: {VARIANTS[key].name}\n")
            try:
                found.setdefault(key, []).append(_run(pythons[key], key, requests, pairs))
            except PeerMissingError as error:
                missing[key] = str(error)
                del pythons[key]
    found = {key: measured for key, measured in found.items() if key not in missing}
    rows = [*_added(found), *_slowest(found)]
    return rows + [Row(what=VARIANTS[key].name, note=f"not run: {why}") for key, why in missing.items()]


def check(key: str, measured: Round) -> Round:
    """Refuse the figures of a variant of which nothing reached the edge: doing nothing is fast.

    Raises:
        PeerMissingError: a peer recorded nothing.
        RuntimeError: the bare app is recorded, or Tollkeeper records nothing.
    """
    if (key == "bare") != (measured.recorded is None):
        raise RuntimeError(f"The variant {key} says that it recorded {measured.recorded} requests.")
    if measured.recorded == 0:
        if VARIANTS[key].environment:
            raise PeerMissingError("it recorded nothing")
        raise RuntimeError(f"The variant {key} recorded nothing.")
    return measured


def _python(variant: Variant, *, install: bool) -> Path:
    return peer_python(variant.environment, install=install) if variant.environment else Path(sys.executable)


def _run(python: Path, key: str, requests: int, pairs: int) -> Round:
    command = [str(python), "-m", WORKER, key, str(requests), str(pairs)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WORKER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise PeerMissingError(f"it did not end within {WORKER_SECONDS} s") from None
    if done.returncode:
        if VARIANTS[key].environment:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raised = [line for line in lines if line.startswith("RuntimeError: ")]  # threads may complain after it
            raise PeerMissingError(f"it failed: {(raised or lines)[-1].removeprefix('RuntimeError: ')}")
        raise RuntimeError(f"The variant {key} failed: {done.stderr}")
    figures = next(line for line in done.stdout.splitlines() if line.startswith("{"))  # a peer may print, too
    return check(key, msgspec.json.decode(figures, type=Round))


def _added(found: dict[str, list[Round]]) -> list[Row]:
    """Rows of added p50; the variants that have a budget stand beside the peer that it names."""
    return [*_added_in_server(found), *_added_in_loop(found)]


def _added_in_server(found: dict[str, list[Round]]) -> list[Row]:
    rows = [_noise("in a server", [(figures.served, figures.served_bare) for figures in found["bare"]], "")]
    pairs = [(key, "limit") for key in found if key not in {"limit", "bare"}]
    for key, peer in (*pairs, *BUDGETS):
        if key in found and peer in found:
            rows.append(
                beside(
                    f"Added p50 in a server: {VARIANTS[key].name}",
                    [figures.served for figures in found[key]],
                    VARIANTS[peer].name,
                    [figures.served for figures in found[peer]],
                    unit="µs",
                    budget=BUDGETS.get((key, peer)),
                )
            )
    return rows


def _added_in_loop(found: dict[str, list[Round]]) -> list[Row]:
    rows = [_noise("in a loop", [(figures.added, figures.bare_p50) for figures in found["bare"]], _note(found["bare"]))]
    budgeted = {key: peer for key, peer in BUDGETS if peer in found}
    for key, rounds in found.items():
        if key not in {"limit", "bare"}:
            peer = budgeted.get(key, "limit")
            rows.append(
                beside(
                    f"Added p50 in a loop: {VARIANTS[key].name}",
                    [figures.added for figures in rounds],
                    VARIANTS[peer].name,
                    [figures.added for figures in found[peer]],
                    unit="µs",
                    note=_note(rounds),
                )
            )
    return rows


def _noise(where: str, figures: list[tuple[float, float]], note: str) -> Row:
    return Row(
        what=f"Added p50 {where}: {VARIANTS['bare'].name}",
        figure=median(added for added, _ in figures),
        unit="µs",
        peer="bare request",
        peer_figure=median(whole for _, whole in figures),
        note=note,
    )


def _slowest(found: dict[str, list[Round]]) -> list[Row]:
    """Rows of p99: the whole request, because added percentiles do not subtract."""
    return [
        beside(
            f"p99 back to back: {VARIANTS[key].name}",
            [figures.p99 for figures in rounds],
            BARE,
            [figures.bare_p99 for figures in rounds],
            unit="µs",
        )
        for key, rounds in found.items()
    ]


def _note(rounds: list[Round]) -> str:
    cpu = median(figures.added_cpu for figures in rounds)
    requests = sum(figures.requests for figures in rounds)
    lost = sum(figures.requests - figures.recorded for figures in rounds if figures.recorded is not None)
    return f"{cpu:,.0f} µs of CPU with all threads" + (f"; {lost:,} of {requests:,} not recorded" if lost else "")
