"""Bill a month and prove it, and say how long that took and how much memory the process had at most.

``python -m benchmarks.invoices_worker run|prove STORE`` works on the file that it is given, and prints a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.invoices_store import MONTH
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.invoicing.run import run_invoices
from tollkeeper.service.proof.period import prove_period
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from tollkeeper.service.bootstrap import Service

__all__ = ["main"]

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STATUS = Path("/proc/self/status")


def main(work: str, store: str) -> None:
    with closing(open_service(Settings(store=f"sqlite:///{store}"))) as service:
        started = time.perf_counter()
        done = _run(service) if work == "run" else _prove(service)
        seconds = time.perf_counter() - started
    sys.stdout.write(json.dumps({"seconds": seconds, "peak": _peak(), "done": done}) + "\n")


def _peak() -> int | None:
    """The most bytes that were resident of this process; what the system's ``getrusage`` says is its parent's, too."""
    if not STATUS.exists():
        return None
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _run(service: Service) -> int:
    report = run_invoices(service, MONTH, now=NOW)
    if report.problems:
        raise RuntimeError(report.problems[0])
    return report.finalized


def _prove(service: Service) -> int:
    proof = prove_period(service, MONTH)
    if proof.problems:
        raise RuntimeError(proof.problems[0])
    return proof.lines


if __name__ == "__main__":
    main(*sys.argv[1:])
