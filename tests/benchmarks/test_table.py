from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.table import Budget, Row, beside, write_page

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
EMPTY = """Before.
<!-- machine: start --><!-- machine: end -->
<!-- capture: start -->
old
<!-- capture: end -->
After.
"""


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    row = beside("it", [10.0, 20.0, 90.0], "the limit", [20.0, 80.0, 100.0], unit="µs")
    assert (row.figure, row.peer_figure, row.ratio) == (20.0, 80.0, 0.5)
    assert row.cells()[:5] == ("it", "20.0 µs", "the limit", "80.0 µs", "0.500 x")


def test_a_peer_that_measured_nothing_gives_no_ratio_and_no_verdict() -> None:
    row = beside("it", [10.0], "noise", [-0.1], unit="µs", budget=Budget(0.35))
    assert row.ratio is None
    assert row.cells()[5] == "≤ 0.35 x"


@pytest.mark.parametrize(
    ("budget", "verdict"),
    [
        (Budget(0.5), "≤ 0.5 x: met"),
        (Budget(0.4), "≤ 0.4 x: **not met**"),
        (Budget(0.6, "at least"), "≥ 0.6 x: **not met**"),
        (Budget(50.0, of="figure"), "≤ 50.0 ms: met"),
    ],
)
def test_a_budget_says_whether_it_is_met(budget: Budget, verdict: str) -> None:
    row = Row(what="it", figure=12.0, unit="ms", peer="peer", peer_figure=24.0, ratio=0.5, budget=budget)
    assert row.cells()[5] == verdict


def test_what_was_not_run_says_so() -> None:
    assert Row(what="it", note="not run: no wrk").cells() == ("it", "not run", "", "", "", "", "not run: no wrk")


def test_amounts_have_three_digits() -> None:
    figures = [Row(what="", figure=value).cells()[1] for value in (0.0, 0.012345, 9.996, 123.4, 86_412.0)]
    assert figures == ["0", "0.0123", "10.00", "123", "86,400"]


def test_tables_replace_what_stands_between_their_markers_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(EMPTY, encoding="utf-8")
    tables = {"capture": [Row(what="a | b", figure=1.0, unit="µs")]}
    write_page(page, tables)
    once = page.read_text(encoding="utf-8")
    assert once.startswith("Before.\n")
    assert once.endswith("<!-- capture: end -->\nAfter.\n")
    assert "| a \\| b | 1.00 µs |" in once
    assert "old" not in once
    write_page(page, tables)
    assert page.read_text(encoding="utf-8") == once


def test_a_page_without_markers_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Nothing.", encoding="utf-8")
    with pytest.raises(ValueError, match="capture: start"):
        write_page(page, {"capture": []})


def test_the_page_in_the_repository_has_a_table_for_every_part() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in ("capture", "memory", "ingest", "gate", "queries"):
        table = text.partition(f"<!-- {name}: start -->\n")[2].partition(f"\n<!-- {name}: end -->")[0]
        assert table.startswith("| What | Figure |"), name
        assert table.count("\n") > 3, name
