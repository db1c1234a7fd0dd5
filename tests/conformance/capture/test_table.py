"""The table itself: nobody is left out of it without a reason, and the oldest versions are those that are declared."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.capture.cases import CASES
from conformance.capture.doors import IN_PROCESS, ON_SERVERS

if TYPE_CHECKING:
    from conformance.capture.case import Run

ROOT = Path(__file__).parents[3]
ENOUGH = 40
RUNS = [*ON_SERVERS, *IN_PROCESS]
DOORS = {run.door for run in RUNS}


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_a_door_has_enough_cases(run: Run) -> None:
    assert sum(case.fits(run) for case in CASES) >= ENOUGH


def test_names_are_told_apart() -> None:
    assert len({case.name for case in CASES}) == len({case.agent for case in CASES}) == len(CASES)


def test_every_case_is_run_somewhere_and_names_only_what_there_is() -> None:
    known = set().union(*(run.tags for run in RUNS), (f"oldest {door}" for door in DOORS))
    for case in CASES:
        assert any(case.fits(run) for run in RUNS), case.name
        assert case.but.keys() | case.without.keys() | set(case.unanswered) <= known, case.name
        assert case.only in {None, *DOORS}, case.name
        assert all(case.without.values()), case.name


def test_the_oldest_versions_are_the_ones_that_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["flask"], *extras["django"], *extras["asgi"]]
    pinned: dict[str, list[str]] = {}
    for path in sorted((ROOT / "requirements").glob("oldest*.txt")):
        for name, version in re.findall(r"(?m)^([\w.-]+)==([\d.]+)", path.read_text(encoding="utf-8")):
            pinned.setdefault(name, []).append(version)
    for requirement in declared:
        name, _, floor = requirement.partition(">=")
        versions = pinned[name]
        assert any(version == floor or version.startswith(f"{floor}.") for version in versions), (requirement, versions)
