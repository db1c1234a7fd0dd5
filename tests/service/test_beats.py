"""What is done again and again: while this process leads, through trouble, until it is told to end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tollkeeper.errors import StoreError
from tollkeeper.service.beats import Beat, keep_beating, start_beats

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


def beating(outcomes: Iterable[bool | Exception], waits: Iterable[bool], *, leads: Iterable[bool] = ()) -> list[float]:
    """Run a beat that has these outcomes; the seconds that it waited."""
    coming, ending, leading, waited = iter(outcomes), iter(waits), iter(leads), list[float]()

    def run() -> bool:
        outcome = next(coming)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return next(ending)

    keep_beating(Beat("Figures", 3.0, run), wait, lambda: next(leading, True))
    return waited


def test_what_has_more_to_do_is_run_again_at_once() -> None:
    assert beating([True, True, False, False], [False] * 4 + [True]) == [3.0, 0, 0, 3.0, 3.0]


def test_the_end_is_heard_of_also_when_there_is_more_to_do() -> None:
    assert beating([True, True], [False, False, True, True]) == [3.0, 0, 0, 3.0]


def test_who_does_not_lead_does_nothing() -> None:
    assert beating([False], [False, False, True], leads=[False, True]) == [3.0, 3.0, 3.0]


def test_trouble_is_said_once_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    busy, gone = StoreError("busy"), StoreError("gone")
    outcomes: list[bool | Exception] = [busy, busy, gone, False, gone]
    beating(outcomes, [False] * 5 + [True])

    assert [record.getMessage().split(":")[1].split()[0] for record in caplog.records] == ["busy", "gone", "gone"]


def test_what_nobody_thought_of_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert beating([ValueError("odd"), False], [False, False, True]) == [3.0, 3.0, 3.0]
    assert "Figures are late, for a reason that should be reported." in caplog.text


def test_beats_run_beside_one_another_until_their_end() -> None:
    ran, slow = threading.Event(), threading.Event()

    def hang() -> bool:
        slow.wait(20)
        return False

    def note() -> bool:
        ran.set()
        return False

    end = start_beats([Beat("Slow", 0.001, hang), Beat("Quick", 0.001, note)])
    assert ran.wait(10)
    began = time.monotonic()
    end(0.05)
    assert time.monotonic() - began < 5
    slow.set()
    end(10)
    ran.clear()
    assert not ran.wait(0.05)
