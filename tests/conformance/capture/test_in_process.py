"""In process: an app says the same to its server with and without Tollkeeper, message by message, at every level."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.capture.cases import CASES
from conformance.capture.check import differences
from conformance.capture.doors import IN_PROCESS
from conformance.capture.hosted import HostedPair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.capture.case import Case, Run

LEVELS = ("metadata", "headers", "bodies")
PROPAGATING = [run for run in IN_PROCESS if run.door in {"flask", "quart", "django-wsgi", "django-asgi"}]

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume"),  # Django, of its own FileResponse
    pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning"),  # Django too
]


class Watched:
    """A pair at a level of capture, and how many events each case must have made."""

    def __init__(self, run: Run, level: str, pair: HostedPair) -> None:
        self.run, self.level, self.pair = run, level, pair
        self.due: Counter[str | None] = Counter()


@pytest.fixture(scope="module", autouse=True)
def prompt() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLLKEEPER_FLUSH_SECONDS", "0.001")
        yield


@pytest.fixture(scope="module")
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    run, level = request.param
    with HostedPair(run, capture=level) as pair:
        watched = Watched(run, level, pair)
        yield watched
    assert Counter(event.client.user_agent for event in pair.sink.events) == watched.due


def params() -> list[object]:
    return [
        pytest.param((run, level), case, id=f"{run} {level}: {case.name}")
        for run in IN_PROCESS
        for level in LEVELS
        for case in CASES
        if case.fits(run)
    ]


@pytest.mark.parametrize(("watched", "case"), params(), indirect=["watched"], scope="module")
def test_an_app_says_the_same_and_the_events_are_right(watched: Watched, case: Case) -> None:
    bare, talk = watched.pair.bare.talk(case), watched.pair.watched.talk(case)
    due = case.expected(watched.run).get("events", len(talk.answers))
    watched.due += Counter({case.agent: due})
    events = watched.pair.events(case.agent, due)
    assert talk.transcript == bare.transcript
    assert talk.told == bare.told
    assert len(events) == due
    wrong = [
        line
        for number, event in enumerate(events)
        for line in differences(event, case, number, talk, watched.run, watched.level)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("run", PROPAGATING, ids=str)
def test_an_error_that_the_framework_passes_on_reaches_the_server(run: Run) -> None:
    case = next(case for case in CASES if case.name == "an error")
    with HostedPair(run, propagate=True) as pair:
        bare, talk = pair.bare.talk(case), pair.watched.talk(case)
        (event,) = pair.events(case.agent, 1)
    assert talk.transcript == bare.transcript
    assert "ValueError('boom')" in str(talk.transcript)
    assert (event["route"], event["status_code"], event["error"]["type"]) == ("/boom", 500, "ValueError")
