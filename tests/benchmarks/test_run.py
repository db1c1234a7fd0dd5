from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert "Added p50: Tollkeeper, metadata, SQLite" in done.stdout
    assert done.stdout.count("not run: not installed yet") == 3


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk (apt-get install wrk)")
def test_quick_ingest_stores_all_that_it_acknowledges(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", "ingest")
    assert done.returncode == 0, done.stderr
    assert "Events/s, single events, 64 connections" in done.stdout
    assert "Roll-ups behind at most" in done.stdout


def test_without_wrk_the_rows_say_how_to_get_it(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", "ingest", search=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("apt-get install wrk") == 2


def test_quick_queries_agree_with_plain_sql(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--only", "queries")
    assert done.returncode == 0, done.stderr
    assert "percentiles by route over 60 days" in done.stdout
    assert "the Overview page, 60 days, over HTTP" in done.stdout


def test_quick_figures_are_never_written_down(tmp_path: Path) -> None:
    done = run(tmp_path, "--quick", "--write")
    assert done.returncode == 2
    assert "leave one of them out" in done.stderr
