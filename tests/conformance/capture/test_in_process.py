"""In process: an app says the same to its server with and without Tollkeeper, message by message, at every level."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from conformance.capture.apps.making import make_app
from conformance.capture.cases import CASES
from conformance.capture.check import differences
from conformance.capture.doors import IN_PROCESS
from conformance.capture.in_process import call_asgi, call_wsgi
from conformance.capture.lifespan import Lifespan
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.capture.case import Case, Run
    from conformance.capture.talk import Talk

LEVELS = ("metadata", "headers", "bodies")
SECONDS = 10


class Hosted:
    """An app in this process, on an event loop of its own if it needs one."""

    def __init__(self, run: Run, app: Any) -> None:
        self._kind, self._app = run.kind, app
        self._lifespan = Lifespan(app)
        self._runner = asyncio.Runner()
        if run.kind == "asgi":
            self._runner.run(self._lifespan.start())

    def talk(self, case: Case) -> Talk:
        if self._kind == "wsgi":
            return call_wsgi(self._app, case)
        return self._runner.run(call_asgi(self._app, case, self._lifespan.state))

    def close(self) -> None:
        if self._kind == "asgi":
            self._runner.run(self._lifespan.stop())
        self._runner.close()


class Pair:
    """The same app twice: as it is, and watched."""

    def __init__(self, run: Run, level: str) -> None:
        self.run, self.level = run, level
        self.sink = MemorySink()
        self.bare = Hosted(run, make_app(run.app, None))
        self.watched = Hosted(run, make_app(run.app, self.sink, capture=level))
        self.due: Counter[str] = Counter()

    def close(self) -> None:
        self.bare.close()
        self.watched.close()

    def events(self, agent: str, due: int) -> list[dict[str, Any]]:
        until = time.monotonic() + SECONDS
        while len(found := [event for event in self.sink.events if event.client.user_agent == agent]) < due:
            assert time.monotonic() < until
            time.sleep(0.002)
        return [event.document() for event in sorted(found, key=lambda event: event.time)]


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    run, level = request.param
    module = importlib.import_module(f"conformance.capture.apps.{run.app.partition(':')[0]}")
    with pytest.MonkeyPatch.context() as patch, getattr(module, "surroundings", contextlib.nullcontext)():
        patch.setenv("TOLLKEEPER_FLUSH_SECONDS", "0.001")
        pair = Pair(run, level)
        try:
            yield pair
        finally:
            pair.close()
    assert Counter(event.client.user_agent for event in pair.sink.events) == pair.due


def params() -> list[object]:
    return [
        pytest.param((run, level), case, id=f"{run} {level}: {case.name}")
        for run in IN_PROCESS
        for level in LEVELS
        for case in CASES
        if case.fits(run)
    ]


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")  # Django, of its own FileResponse under ASGI
# Django forgets one.
@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("pair", "case"), params(), indirect=["pair"], scope="module")
def test_an_app_says_the_same_and_the_events_are_right(pair: Pair, case: Case) -> None:
    bare, watched = pair.bare.talk(case), pair.watched.talk(case)
    due = case.expected(pair.run).get("events", len(watched.answers))
    pair.due += Counter({case.agent: due})
    events = pair.events(case.agent, due)
    assert watched.transcript == bare.transcript
    assert watched.told == bare.told
    assert len(events) == due
    wrong = [
        line
        for number, event in enumerate(events)
        for line in differences(event, case, number, watched, pair.run, pair.level)
    ]
    assert not wrong, "\n".join(wrong)
