from __future__ import annotations

import pytest

from tollkeeper import unhurried
from tollkeeper.unhurried import Unhurried


class Clock:
    """Stands still but for sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(unhurried, "time", clock)
    return clock


def test_who_goes_through_a_batch_lets_others_run_after_each_slice(clock: Clock) -> None:
    seen = []
    for number in Unhurried(range(10)):
        seen.append(number)
        clock.now += 0.00004
    assert seen == list(range(10))
    assert clock.pauses == [0.00005] * 3, "after the third, the sixth and the ninth"


def test_a_batch_in_which_nothing_takes_time_has_no_pauses(clock: Clock) -> None:
    assert list(Unhurried(range(1000))) == list(range(1000))
    assert not clock.pauses
