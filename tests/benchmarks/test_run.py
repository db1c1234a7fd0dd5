from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from benchmarks.capture_peers import PEERS
from benchmarks.memory import STATM, measure_memory

ROOT = Path(__file__).parents[2]


def run(tmp_path: Path, *arguments: str, search: str | None = None) -> subprocess.CompletedProcess[str]:
    """In a cache of its own, so that no peer is installed there and no store is filled."""
    environ = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "250"}
    if search is not None:
        environ["PATH"] = search
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_quick_capture_measures_ours_and_says_which_peers_are_missing(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", "capture")
    assert done.returncode == 0, done.stderr
    assert "Added p50 in a server: Tollkeeper, metadata, SQLite" in done.stdout
    assert "Added p50 in a loop: Tollkeeper, metadata, SQLite" in done.stdout
    assert "p99 back to back: Tollkeeper, metadata, SQLite" in done.stdout
    assert "not recorded" not in done.stdout
    assert done.stdout.count("not run: not installed yet") == len(PEERS)


def test_quick_waiting_sets_the_thread_at_work_beside_the_thread_at_rest(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", "waiting")
    assert done.returncode == 0, done.stderr
    for load, arrivals in product(("a third", "a tenth"), ("evenly", "at random")):
        for what in ("nothing but the noise of the method", "Tollkeeper"):
            assert f"p99 at {load} of the load, {arrivals}: {what}, metadata, SQLite" in done.stdout
    assert done.stdout.count("its thread at rest") == 32
    assert "round 1 of 1: metadata, SQLite" in done.stderr


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc, which is not here")
def test_quick_memory_tells_what_is_recorded_and_what_is_not(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", "memory")
    assert done.returncode == 0, done.stderr
    assert "Memory after 5,000 requests: the bare app" in done.stdout
    assert "5,000 of them recorded" in done.stdout
    assert " 0 of them recorded" in done.stdout


def test_without_proc_memory_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.memory.STATM", Path("nowhere"))
    rows = measure_memory(quick=True)
    assert len(rows) == 3
    assert all(row.note.startswith("not run: ") for row in rows)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk (apt-get install wrk)")
def test_quick_ingest_stores_all_that_it_acknowledges(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", "ingest")
    assert done.returncode == 0, done.stderr
    assert "Events/s, single events, 64 connections" in done.stdout
    assert "Roll-ups behind at most" in done.stdout


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk (apt-get install wrk)")
def test_quick_gate_counts_all_that_it_admits(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", "gate")
    assert done.returncode == 0, done.stderr
    assert "Decisions/s, one key, 64 connections" in done.stdout
    assert "not run: not installed yet" in done.stdout


@pytest.mark.parametrize("part", ["ingest", "gate"])
def test_without_wrk_the_rows_say_how_to_get_it(part: str, tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", part, search=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("apt-get install wrk") == 2


def test_quick_queries_agree_with_plain_sql(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", "queries")
    assert done.returncode == 0, done.stderr
    assert "percentiles by route over 60 days" in done.stdout
    assert "the Overview page, 60 days, over HTTP" in done.stdout


def test_quick_invoices_are_billed_and_proved(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", "invoices", "--events", "3000")
    assert done.returncode == 0, done.stderr
    assert "Time an event: the invoice run, 3,000 events of 60 customers" in done.stdout
    assert "60 invoices finalized" in done.stdout
    assert "Memory at most: the proof of the month, 3,000 events of 60 customers" in done.stdout


def test_quick_figures_are_never_written_down(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--write")
    assert done.returncode == 2
    assert "leave one of them out" in done.stderr
