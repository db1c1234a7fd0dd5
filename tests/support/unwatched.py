"""Processes that coverage does not watch: they are ready in half the time, and who is killed tells it nothing anyway.

What runs in them is covered by tests in this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["unwatched", "unwatched_environment"]


def unwatched_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for such a process."""
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}


@pytest.fixture(autouse=True)
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test start such processes only; in force where a conftest imports it."""
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
