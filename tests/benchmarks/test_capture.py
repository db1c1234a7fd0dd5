from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from benchmarks.capture import VARIANTS, Round, check
from benchmarks.capture_app import ENVIRON, Watched, call, make_app
from benchmarks.capture_ours import OURS
from benchmarks.capture_peers import PEERS
from benchmarks.capture_served import measure_served
from benchmarks.capture_worker import measure
from benchmarks.environments import REQUIREMENTS, PeerMissingError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask


def round_of(recorded: int | None) -> Round:
    return Round(
        added=1.0,
        added_cpu=1.0,
        bare_p50=1.0,
        bare_p99=1.0,
        p99=1.0,
        requests=10,
        recorded=recorded,
        served=1.0,
        served_bare=1.0,
    )


def slow_app(first: float, others: float) -> Flask:
    """Takes ``first`` seconds longer for its first request, and ``others`` for each that follows."""
    app = make_app()
    inner, delays = app.wsgi_app, [first]

    def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        time.sleep(delays.pop() if delays else others)
        return inner(environ, start_response)

    app.wsgi_app = outer  # type: ignore[method-assign]  # how Flask takes a middleware
    return app


def test_every_variant_is_named_and_can_be_run() -> None:
    assert set(VARIANTS) == set(OURS) | set(PEERS)
    assert {key for key, variant in VARIANTS.items() if variant.environment} == set(PEERS)
    wanted = {f"{variant.environment}.txt" for variant in VARIANTS.values() if variant.environment}
    assert {path.name for path in REQUIREMENTS.iterdir()} == wanted | {"flask_limiter.txt"}


def test_every_requirement_is_pinned() -> None:
    for path in REQUIREMENTS.iterdir():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines, path
        assert all(line.count("==") == 1 for line in lines), path


def test_a_peer_that_recorded_nothing_is_not_reported_as_fast() -> None:
    with pytest.raises(PeerMissingError, match="recorded nothing"):
        check("moesif", round_of(0))
    with pytest.raises(RuntimeError, match="recorded nothing"):
        check("bodies-null", round_of(0))
    with pytest.raises(RuntimeError, match="bare"):
        check("bare", round_of(10))
    assert check("moesif", round_of(10)).recorded == 10
    assert check("bare", round_of(None)).recorded is None


@pytest.mark.parametrize("key", OURS)
def test_what_reached_the_edge_is_counted(key: str, tmp_path: Path) -> None:
    watched = OURS[key](tmp_path)
    for _ in range(3):
        call(watched.app)
    watched.settled()
    assert watched.recorded() == (None if key == "bare" else 3)


def test_an_answer_that_a_variant_breaks_is_not_measured() -> None:
    app = make_app()

    def empty(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return []

    app.wsgi_app = empty  # type: ignore[method-assign, assignment]  # how Flask takes a middleware
    with pytest.raises(RuntimeError, match="breaks it"):
        call(app)


def test_changes_go_into_the_request_and_not_into_the_next() -> None:
    app = make_app()
    with pytest.raises(RuntimeError, match="404 NOT FOUND"):
        call(app, {"PATH_INFO": "/nowhere"})
    assert call(app) > 0
    assert ENVIRON["PATH_INFO"] == "/v1/orders/4711"


def test_what_is_added_is_the_difference_of_the_blocks() -> None:
    figures = measure(make_app(), Watched(slow_app(0.002, 0.002)), 20, 3)
    assert 2_000 <= figures["added"] <= 20_000
    assert figures["p99"] >= 2_000
    assert figures["added_cpu"] < figures["added"], "it sleeps"
    assert figures["requests"] == 60


def test_in_a_server_the_slower_app_costs_what_it_takes_longer() -> None:
    settled = []
    figures = measure_served(make_app(), slow_app(0.002, 0.002), lambda: settled.append(1), 20, 2)
    assert 1_900 < figures["served"] < 10_000
    assert figures["served_bare"] < 2_000
    assert figures["requests"] == 2 * 20
    assert len(settled) == 2


def test_in_a_server_an_app_that_fails_is_not_measured() -> None:
    app = make_app()
    app.view_functions.clear()
    with pytest.raises(subprocess.CalledProcessError):
        measure_served(make_app(), app, lambda: None, 5, 1)
