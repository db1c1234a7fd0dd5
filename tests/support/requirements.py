"""What a test needs from the machine: skipped where it is missing, and a failure where all is required."""

from __future__ import annotations

import os

import pytest

__all__ = ["require"]


def require(name: str, found: object) -> None:
    """Skip the test when ``found`` is falsy; with ``TOLLKEEPER_TEST_REQUIRE=all``, which CI sets, fail it."""
    if found:
        return
    reason = f"{name} is not on this machine"
    if os.environ.get("TOLLKEEPER_TEST_REQUIRE") == "all":
        pytest.fail(reason)
    pytest.skip(reason)
