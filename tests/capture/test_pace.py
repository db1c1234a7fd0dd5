from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tollkeeper.capture import pace
from tollkeeper.capture.pace import breathe

if TYPE_CHECKING:
    from collections.abc import Callable

ROOM, LATER = 100, 1e9


class Clock:
    """Stands still but for sleep, after each of which ``then`` is called."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self.then: Callable[[], object] = lambda: None

    def perf_counter(self) -> float:
        return self.now

    monotonic = perf_counter

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        self.then()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def after(clock: Clock, waiting: list[int], *, worked: float = 0.00011, hurried: bool = False) -> float:
    return breathe(clock.now - worked, lambda: len(waiting), ROOM, lambda: hurried, LATER)


def test_a_slice_goes_on_until_it_has_taken_its_time(clock: Clock) -> None:
    began = clock.now - 0.00009
    assert breathe(began, lambda: 0, ROOM, lambda: False, LATER) == began
    assert not clock.pauses


def test_the_next_slice_begins_when_a_request_is_over(clock: Clock) -> None:
    waiting = [1]
    clock.then = lambda: waiting.append(1)
    assert after(clock, waiting) == clock.now
    assert clock.pauses == [0.0002]


def test_or_when_none_has_come_for_a_while(clock: Clock) -> None:
    assert after(clock, [1]) == clock.now
    assert clock.pauses == [0.0002, 0.0004, 0.0008, 0.0016, 0.0032]


@pytest.mark.parametrize("gap", [0.0006, 0.001, 0.0015, 0.002, 0.003, 0.006])
def test_no_slice_begins_but_after_an_answer_down_to_160_requests_a_second(clock: Clock, gap: float) -> None:
    clock.now = began = 0.0
    for _ in range(100):
        before = clock.now = began + 0.0002  # what it takes to make an event
        began = breathe(began, lambda: int(clock.now / gap), 10**9, lambda: False, LATER)
        assert int(began / gap) > int(before / gap)


def test_one_pause_is_enough_when_leisure_is_over(clock: Clock) -> None:
    breathe(clock.now - 1, lambda: 0, ROOM, lambda: False, clock.now)
    assert clock.pauses == [0.0002]


def test_slices_grow_and_only_pause_once_when_a_fifth_of_the_room_is_taken(clock: Clock) -> None:
    assert after(clock, [1] * 20) == clock.now
    assert clock.pauses == [0.0002]
    began = clock.now - 0.00109
    assert breathe(began, lambda: 40, ROOM, lambda: False, LATER) == began
    assert breathe(clock.now - 0.00111, lambda: 40, ROOM, lambda: False, LATER) == clock.now
    assert clock.pauses == [0.0002, 0.0002]


def test_there_is_no_pause_when_half_of_the_room_is_taken_or_in_a_hurry(clock: Clock) -> None:
    assert after(clock, [1] * 50, worked=1) == clock.now
    assert after(clock, [], hurried=True) == clock.now
    assert not clock.pauses


def test_a_hurry_ends_the_wait_for_a_request(clock: Clock) -> None:
    breathe(clock.now - 1, lambda: 0, ROOM, lambda: bool(clock.pauses), LATER)
    assert clock.pauses == [0.0002]
