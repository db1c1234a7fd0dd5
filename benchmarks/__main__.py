"""``python -m benchmarks``: measure, print, and with ``--write`` put the figures into ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.capture import measure_capture
from benchmarks.gate import measure_gate
from benchmarks.ingest import measure_ingest
from benchmarks.ingest_postgresql import measure_ingest_postgresql
from benchmarks.invoices import measure_invoices
from benchmarks.lease import measure_leases
from benchmarks.memory import measure_memory
from benchmarks.queries import measure_queries
from benchmarks.table import Row, to_rich, write_page
from benchmarks.waiting import measure_waiting

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PARTS = ("capture", "waiting", "memory", "ingest", "gate", "leases", "queries", "invoices")
EVENTS, FEW_EVENTS, BILLED_EVENTS = 1_000_000, 20_000, 10_000_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure beside limits and peers.")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test of a minute: small counts, no figures to keep"
    )
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    parser.add_argument(
        "--events",
        type=int,
        help=f"events in the store that is queried, {EVENTS:,} if not given; that is billed, {BILLED_EVENTS:,}",
    )
    parser.add_argument("--write", action="store_true", help="write the tables into docs/benchmarks.md")
    asked = parser.parse_args()
    if asked.quick and asked.write:
        parser.error("--quick counts too little to be written down: leave one of them out.")
    console = Console(width=None if Console().is_terminal else 300)
    tables: dict[str, list[Row]] = {}
    for part in [asked.only] if asked.only else PARTS:
        tables[part] = _measure(part, quick=asked.quick, events=asked.events)
        console.print(to_rich(part.capitalize(), tables[part]))
    if asked.write:
        write_page(PAGE, tables)
        console.print(f"Wrote {PAGE.name}.")


def _measure(part: str, *, quick: bool, events: int | None) -> list[Row]:
    parts: dict[str, Callable[[], list[Row]]] = {
        "capture": lambda: measure_capture(quick=quick),
        "waiting": lambda: measure_waiting(quick=quick),
        "memory": lambda: measure_memory(quick=quick),
        "ingest": lambda: [*measure_ingest(quick=quick), *measure_ingest_postgresql(quick=quick)],
        "gate": lambda: measure_gate(quick=quick),
        "leases": lambda: measure_leases(quick=quick),
        "queries": lambda: measure_queries(quick=quick, events=events or (FEW_EVENTS if quick else EVENTS)),
        "invoices": lambda: measure_invoices(quick=quick, events=events or (FEW_EVENTS if quick else BILLED_EVENTS)),
    }
    return parts[part]()


if __name__ == "__main__":
    main()
