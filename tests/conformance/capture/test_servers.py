"""On real servers: the client gets the same bytes with and without Tollkeeper, and the events tell what happened.

Of the bytes, only the times in ``Date`` and ``Expires`` are taken out before they are compared. The framing of chunks
is part of them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.capture.cases import CASES
from conformance.capture.check import differences
from conformance.capture.client import converse
from conformance.capture.doors import ON_SERVERS
from conformance.capture.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conformance.capture.case import Case, Run


class Pair:
    """The same app on the same server twice: as it is, and watched; and how many events each case must have made."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        self.bare = Server(run, folder / "bare", watched=False)
        self.watched = Server(run, folder / "watched", watched=True)
        self.due: Counter[str] = Counter()

    def close(self) -> list[int]:
        return [self.bare.stop(), self.watched.stop()]


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(request.param, tmp_path_factory.mktemp("pair"))
    try:
        pair.bare.wait()
        pair.watched.wait()
        yield pair
    finally:
        bare, watched = pair.close()
    # Both ended in the same way; nothing came twice or too late, nothing was lost by the end, and nothing went wrong.
    assert watched == bare
    assert Counter(event["client"]["user_agent"] for event in pair.watched.events()) == pair.due
    assert "Tollkeeper" not in pair.watched.log()


def params() -> list[object]:
    return [pytest.param(run, case, id=f"{run}: {case.name}") for run in ON_SERVERS for case in CASES if case.fits(run)]


@pytest.mark.timeout(90)
@pytest.mark.parametrize(("pair", "case"), params(), indirect=["pair"], scope="module")
def test_a_server_answers_the_same_and_the_events_are_right(pair: Pair, case: Case) -> None:
    bare, watched = converse(pair.bare.port, case), converse(pair.watched.port, case)
    due = case.expected(pair.run).get("events", len(watched.answers))
    pair.due += Counter({case.agent: due})
    events = pair.watched.wait_for_events(case.agent, due)
    assert watched.transcript == bare.transcript
    assert watched.told == bare.told
    assert len(events) == due
    wrong = [
        line for number, event in enumerate(events) for line in differences(event, case, number, watched, pair.run)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("run", ON_SERVERS, ids=str)
def test_what_waits_when_a_server_is_stopped_is_delivered(run: Run, tmp_path: Path) -> None:
    server = Server(run, tmp_path / "watched", watched=True, flush_seconds=60)
    case = next(case for case in CASES if case.name == "a get")
    try:
        server.wait()
        for _ in range(3):
            converse(server.port, case)
        assert server.events() == []
    finally:
        server.stop()
    assert [event["path"] for event in server.events()] == ["/users/7"] * 3
    assert "Tollkeeper" not in server.log()
