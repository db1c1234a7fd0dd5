from __future__ import annotations

import itertools
import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.capture_app import Watched, make_app
from benchmarks.capture_ours import tollkeeper
from benchmarks.database import VARIABLE
from benchmarks.waiting_worker import ARRIVALS, LOADS, NEVER, TRIES, measure_waiting, paced_block, stolen

from benchmarks import waiting
from support.servers.postgresql import postgresql
from tollkeeper.capture.queue import QueueLimits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask

MILLISECOND = 1_000_000


def slow_app(*delays: float) -> Flask:
    """Takes so many seconds longer for its first requests."""
    app = make_app()
    inner, left = app.wsgi_app, list(delays)

    def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        time.sleep(left.pop(0) if left else 0)
        return inner(environ, start_response)

    app.wsgi_app = outer  # type: ignore[method-assign]  # how Flask takes a middleware
    return app


def test_a_paced_request_waits_for_the_one_that_is_late() -> None:
    taken = paced_block(slow_app(0.2), 6, 10 * MILLISECOND)
    assert taken[0] >= 200 * MILLISECOND
    assert taken[1] >= 190 * MILLISECOND
    assert taken[-1] < taken[0], "each one waits a little less"
    late = paced_block(make_app(), 3, 50 * MILLISECOND)
    assert min(late) < 40 * MILLISECOND, "it does not wait when nothing is late"


def test_at_random_they_come_as_often_but_not_as_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep: list[float] = []
    monkeypatch.setattr(time, "sleep", asleep.append)
    began = time.perf_counter_ns()
    taken = paced_block(make_app(), 400, 1000 * MILLISECOND, random.Random(1))
    elapsed = time.perf_counter_ns() - began
    # Nobody has slept, so each has come before its time: by the sum of the gaps but for what the calls took.
    assert -taken[-1] + elapsed > 300 * 1000 * MILLISECOND
    assert -taken[-1] < 500 * 1000 * MILLISECOND
    gaps = [later - earlier for earlier, later in pairwise(asleep)]
    assert min(gaps) < 0.1
    assert max(gaps) > 3


def test_the_thread_that_rests_delivers_only_when_it_is_told(tmp_path: Path) -> None:
    watched = tollkeeper("metadata", config=NEVER)(tmp_path)
    app = watched.app
    paced_block(app, 600, MILLISECOND // 10)
    keeper = app.extensions["tollkeeper"]
    assert keeper.stats().queued == 600
    assert watched.settled()
    assert keeper.stats().sent == 600


def test_postgresql_is_measured_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    variants = {("metadata", "null"): "metadata", ("metadata", "postgresql"): "metadata, PostgreSQL"}
    monkeypatch.setattr(waiting, "VARIANTS", variants)
    [row] = [row for row in waiting.measure_waiting(quick=True) if "PostgreSQL" in row.what]
    assert VARIABLE in row.note
    monkeypatch.setenv(VARIABLE, postgresql().url)
    rows = [row for row in waiting.measure_waiting(quick=True) if "PostgreSQL" in row.what]
    assert len(rows) == 12
    assert all(row.ratio for row in rows)


BATCH = QueueLimits().batch_events
SPELL = 200


def late(spells: list[list[int]]) -> int:
    """Microseconds that one in a hundred takes at least."""
    return sorted(spells[0])[int(0.99 * (len(spells[0]) - 1))]


def measured(app: Flask, spells: int = 1, **more: Any) -> dict[str, Any]:
    return measure_waiting({"bare": Watched(make_app()), "it": Watched(app)}, set(), SPELL, spells, seed=1, **more)


@pytest.mark.parametrize("place", [0, 90, 180])
def test_what_holds_a_process_up_once_a_spell_shows_wherever_it_falls(place: int) -> None:
    once = [*[0.0] * (BATCH + place), 0.4, *[0.0] * (SPELL - place - 1)]
    figures = measured(slow_app(*once * 2), lost=lambda: 0)["taken"]["a third"].values()
    assert all(late(found["it"]) > 200_000 for found in figures)
    assert any(late(found["bare"]) < 200_000 for found in figures)  # the machine may hold it up as well, once


@pytest.mark.parametrize("every", [50, 10])
def test_what_holds_a_few_of_its_requests_up_shows(every: int) -> None:
    often = [0.02 if number % every == 7 else 0.0 for number in range(SPELL)]
    figures = measured(slow_app(*([0.0] * BATCH + often) * 2), lost=lambda: 0)
    assert figures["one"] > 0
    for arrivals in ARRIVALS:
        assert late(figures["taken"]["a third"][arrivals]["it"]) > 15_000


def test_a_spell_in_which_the_machine_was_lost_is_done_again() -> None:
    count = itertools.count()
    figures = measured(make_app(), 2, lost=lambda: next(count) // 2)  # it grows after each spell, not in it
    assert figures["again"] == 0
    count = itertools.count()
    figures = measured(make_app(), 2, lost=lambda: next(count))
    assert figures["again"] == (TRIES - 1) * 2 * 2 * 2 * 2
    for load, arrivals in itertools.product(LOADS, ARRIVALS):
        found = figures["taken"][load][arrivals]
        assert {name: len(spells) for name, spells in found.items()} == {"bare": 2, "it": 2}
        assert {len(spell) for spell in found["it"]} == {int(SPELL * LOADS[load][1])}


def test_what_was_stolen_is_read_where_the_kernel_counts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stolen() >= 0
    stat = tmp_path / "stat"
    monkeypatch.setattr("benchmarks.waiting_worker.STAT", stat)
    assert stolen() == 0
    stat.write_text("cpu  1 2 3 4 5 6 7 88 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    assert stolen() == 88


@pytest.mark.parametrize("level", ["metadata", "bodies"])
def test_what_is_to_rest_does_for_a_whole_spell_or_the_measurement_fails(tmp_path: Path, level: str) -> None:
    apps = {"it": tollkeeper(level, config=NEVER)(tmp_path)}
    figures = measure_waiting(apps, {"it"}, 1_000, 1, seed=1, lost=lambda: 0)
    assert late(figures["taken"]["a third"]["evenly"]["it"]) > 0
    apps = {"it": tollkeeper(level)(tmp_path)}
    with pytest.raises(RuntimeError, match="was to rest"):
        measure_waiting(apps, {"it"}, 1_000, 1, seed=1, lost=lambda: 0)


def test_only_the_calmer_half_of_the_spells_counts() -> None:
    spells = [[10] * 98 + [late] * 2 for late in (50, 20, 90, 30, 40)]
    assert sorted(waiting.calm(spells))[-6:] == [20, 20, 30, 30, 40, 40]
    assert waiting.calm(spells[:1]) == spells[0]


def test_the_interval_of_a_ratio_narrows_around_it() -> None:
    chance = random.Random(1)
    few, many = (
        [[[round(chance.gauss(mean, mean / 5)) for _ in range(200)] for _ in range(count)] for mean in (1_100, 1_000)]
        for count in (4, 100)
    )
    (low, high), (least, most) = waiting.interval(*few), waiting.interval(*many)
    assert low < least < 1.1 < most < high
    assert most - least < 0.05
