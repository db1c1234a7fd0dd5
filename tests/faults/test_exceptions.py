"""What the host brings along may raise anything: its log, its sink, its exceptions, its answers."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from support.mischief import MISCHIEF, Out, ask, bare, recorded, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from tollkeeper.events.event import UsageEvent

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=["flask", "wsgi"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    name: str = request.param
    return name


class Handler(logging.Handler):
    """Does ``act`` with each record."""

    def __init__(self) -> None:
        super().__init__()
        self.act: Callable[[], object] = lambda: None
        self.calls = 0

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()
        self.calls += 1
        self.act()


@pytest.fixture
def handler() -> Iterator[Handler]:
    made = Handler()
    logger = logging.getLogger("tollkeeper")
    logger.addHandler(made)
    yield made
    logger.removeHandler(made)


def test_a_handler_of_the_log_may_raise(kind: str, handler: Handler) -> None:
    handler.act = MISCHIEF["raises"]
    app, door = watched(kind, identify=MISCHIEF["raises"])
    for path in ("/", "/boom"):
        assert ask(app, path) == ask(bare(kind), path)
    assert len(recorded(door)) == 2
    assert handler.calls == 1


def test_a_handler_of_the_log_may_ask_the_same_app(kind: str, handler: Handler) -> None:
    app, door = watched(kind, identify=MISCHIEF["raises"], api=MISCHIEF["raises"])
    handler.act = lambda: ask(app)
    assert ask(app) == ask(bare(kind))
    # Each kind of trouble was told once, and the request that told of it told no more.
    assert handler.calls == 2
    assert len(recorded(door)) == 3
    assert door.stats().errors == {"identify": 3, "api": 3}


class Sink:
    """Does ``act`` with the first batches, then takes them; cannot be closed."""

    def __init__(self, act: Callable[[Sequence[UsageEvent]], object], times: int = 1) -> None:
        self.act = act
        self.times = times
        self.events: list[UsageEvent] = []

    def send(self, events: Sequence[UsageEvent]) -> None:
        if self.times:
            self.times -= 1
            self.act(events)
        self.events += events

    def close(self) -> None:
        raise ValueError("mischief")


@pytest.mark.parametrize("mischief", ["raises", "recurses"])
def test_a_sink_may_fail(kind: str, mischief: str) -> None:
    app, door = watched(kind, sink=Sink(MISCHIEF[mischief]))
    assert ask(app) == ask(bare(kind))
    assert len(recorded(door)) == 1
    assert door.stats().errors == {"sink": 1, "close": 1}


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, Out])
def test_a_sink_that_ends_its_thread_loses_a_batch_at_most_and_that_is_told(
    kind: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def end(_: Any) -> NoReturn:
        raise error("now")

    app, door = watched(kind, sink=Sink(end))
    with caplog.at_level(logging.WARNING, "tollkeeper"):
        ask(app)
        assert door.flush(10)
        assert ask(app) == ask(bare(kind))
        events = recorded(door)
    assert 1 <= len(events) == door.stats().sent
    assert door.stats().captured == 2
    assert door.stats().errors.keys() > {"close"}
    assert [record for record in caplog.records if "close" not in record.getMessage()]


def test_a_sink_that_always_ends_its_thread_does_not_end_who_closes(kind: str) -> None:
    def end(_: Any) -> NoReturn:
        raise SystemExit("now")

    app, door = watched(kind, sink=Sink(end, times=10**9))
    for _ in range(3):
        ask(app)
        door.flush(0.01)
    door.close(5)
    stats = door.stats()
    assert (stats.captured, stats.sent, stats.queued) == (3, 0, 0)
    assert sum(stats.dropped.values()) == 3


def test_a_sink_may_ask_the_app_that_it_serves(kind: str) -> None:
    sink = Sink(lambda _: ask(app), times=10**9)
    app, door = watched(kind, sink=sink)
    for _ in range(5):
        assert ask(app) == ask(bare(kind))
    assert door.flush(10)  # of what was there, not of what comes of it
    assert len(recorded(door)) >= 5


def test_a_sink_may_change_what_it_gets(kind: str) -> None:
    app, door = watched(kind, sink=Sink(lambda events: events.clear()))  # type: ignore[attr-defined]  # it is a list
    for _ in range(3):
        ask(app)
    recorded(door)
    assert door.stats().captured == 3


class LoudError(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("mischief")

    __repr__ = __str__


class EndlessError(Exception):
    """Is shown by being shown."""

    def __str__(self) -> str:
        return f"{self}"

    __repr__ = __str__


class HugeError(Exception):
    """Has more to say than anybody wants to keep."""

    def __str__(self) -> str:
        return "x" * 10**7


def circle() -> Exception:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def deep() -> Exception:
    error = ValueError("deep")
    for _ in range(5000):
        outer = ValueError("deep")
        outer.__cause__ = error
        error = outer
    return error


def recursion() -> Exception:
    MISCHIEF["recurses"]()
    raise AssertionError("it comes back")


@pytest.mark.parametrize("make", [LoudError, EndlessError, HugeError, circle, deep, recursion])
def test_an_exception_of_the_app_may_be_anything(make: Callable[[], Exception]) -> None:
    def app(_: WSGIEnvironment, __: StartResponse) -> Iterable[bytes]:
        raise make()

    observed, door = watched("wsgi", app)
    answer = ask(observed)
    assert answer == ask(app)
    (event,) = recorded(door)
    assert event.status_code == 500
    assert event.error.type.endswith(answer[2].split()[0])
    assert len(event.error.message) <= 8192
    assert len(event.error.traceback) <= 8192
    assert door.stats().errors == {}


class Answer:
    """An iterable that may raise at its end, and raises when it is closed."""

    def __init__(self, end: BaseException | None, close: BaseException) -> None:
        self._end = end
        self._close = close
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"a"
        if self._end is not None:
            raise self._end

    def close(self) -> None:
        self.closed += 1
        raise self._close


@pytest.mark.parametrize("end", [None, ValueError("end"), Out("end")])
@pytest.mark.parametrize("close", [ValueError("close"), SystemExit("close"), Out("close")])
def test_an_answer_may_raise_when_it_is_closed(end: BaseException | None, close: BaseException) -> None:
    made: list[Answer] = []

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        made.append(Answer(end, close))
        return made[-1]

    observed, door = watched("wsgi", app)
    assert ask(observed) == ask(app)
    assert [answer.closed for answer in made] == [1, 1]
    (event,) = recorded(door)
    assert event.status_code == 200
    if end is not None:
        assert event.error.message == "end"
