"""What came of running a case once, with or without Tollkeeper."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from conformance.capture.wire import Answer

__all__ = ["Talk"]


class Talk(Struct, kw_only=True):
    """``transcript`` and ``told`` must be equal with and without Tollkeeper; the rest is what the event is checked by.

    An answer is None where there was none. ``at_least`` and ``at_most`` are seconds that the event's duration must lie
    between, as the client knows; ``first_at_most`` is when it had the first byte.
    """

    transcript: Any
    answers: list[Answer | None]
    told: str = ""
    at_least: float = 0.0
    at_most: float = 60.0
    first_at_most: float = 60.0
