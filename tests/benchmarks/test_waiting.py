from __future__ import annotations

import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmarks.capture_app import Watched, make_app
from benchmarks.capture_ours import tollkeeper
from benchmarks.database import VARIABLE
from benchmarks.waiting_worker import NEVER, measure_waiting, paced_block

from benchmarks import waiting
from support.servers.postgresql import postgresql

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest
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
    assert len(rows) == 4
    assert all(row.ratio for row in rows)


def test_what_keeps_a_process_busy_shows_where_it_is_and_nowhere_else() -> None:
    apps = {"bare": Watched(make_app()), "slow": Watched(slow_app(*[0.05] * 1000))}
    figures = measure_waiting(apps, 5, 3)
    assert figures["gap"] > 0
    for arrivals in ("evenly", "at random"):
        found = figures["p99"][arrivals]
        assert found["slow"] > 50_000 > found["bare"]
