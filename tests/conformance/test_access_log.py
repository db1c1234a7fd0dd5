"""A real log through the real commands: what Tollkeeper counts is what awk counts in the file.

``TOLLKEEPER_TEST_ACCESS_LOG`` names a combined log to be held to the same.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest

from support.served import run_cli

EXAMPLE = Path(__file__).parents[2] / "examples" / "data" / "access.log.gz"
LOGS = [EXAMPLE] + [Path(path) for path in [os.environ.get("TOLLKEEPER_TEST_ACCESS_LOG")] if path]
MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
BY_STATUS = r"""{ sub(/^[^"]*"([^"\\]|\\.)*" /, ""); print $1 }"""
BY_DAY = (
    rf"""{{ split(substr($4, 2, 11), d, "/"); printf "%s-%02d-%s\n", d[3], (index("{MONTHS}", d[2]) + 2) / 3, d[1] }}"""
)
CORRUPT = {
    3: "not a line of a log",
    500: '1.2.3.4 - - [99/Foo/2015] "GET / HTTP/1.1" 200 1',
    501: "",
    1200: "\x00\x01",
    1201: "{}",
}


def awk_counts(program: str, log: Path) -> dict[str, int]:
    lines = subprocess.run(["awk", program, str(log)], capture_output=True, text=True, check=True).stdout.splitlines()
    return {value: lines.count(value) for value in set(lines)}


def usage(by: str, store: str) -> dict[str, int]:
    rows = json.loads(run_cli("usage", "--by", by, "--json", "--store", store).stdout)
    return {row[by]: row["requests"] for row in rows}


@pytest.fixture(params=LOGS, ids=lambda path: path.name)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    source: Path = request.param
    plain = tmp_path / "access.log"
    data = source.read_bytes()
    plain.write_bytes(gzip.decompress(data) if source.suffix == ".gz" else data)
    return plain


@pytest.mark.timeout(180)
def test_an_import_counts_as_awk_does_and_a_second_adds_nothing(log: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    lines = log.read_text(errors="replace").splitlines()
    run_cli("import", "access-log", str(log), "--store", store)

    by_status, by_day = usage("status", store), usage("day", store)
    assert sum(by_status.values()) == len(lines)
    assert by_status == awk_counts(BY_STATUS, log)
    assert by_day == awk_counts(BY_DAY, log)

    for number, text in CORRUPT.items():
        lines.insert(number - 1, text)
    damaged = tmp_path / "damaged.log"
    damaged.write_text("\n".join(lines) + "\n")
    second = run_cli("import", "access-log", str(damaged), "--store", store)
    said = second.stdout + second.stderr
    assert usage("status", store) == by_status
    assert all(f"damaged.log:{number}: " in said for number in CORRUPT), said
    books = json.loads(run_cli("reconcile", "--json", "--store", store).stdout)
    assert books["problems"] == []
    (row,) = books["books"]
    assert (row["stored"], row["duplicate"]) == (len(lines) - 5, len(lines) - 5)
