"""The host's own functions may do anything: no answer changes for it, and each failure is counted and told."""

from __future__ import annotations

import logging
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from support.mischief import MISCHIEF, Out, Unspeakable, ask, bare, recorded, watched
from tollkeeper import current, set_consumer, set_units, skip, track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

pytestmark = pytest.mark.timeout(60)

OPTIONS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "identify": lambda function: {"identify": function},
    "api": lambda function: {"api": function},
    "api_version": lambda function: {"api_version": function},
    "exclude": lambda function: {"exclude": [function]},
}


@pytest.fixture(params=["flask", "wsgi"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the log takes for the time; ``now`` may be moved."""
    made = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("tollkeeper.log.time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "tollkeeper"]


@pytest.mark.parametrize("mischief", MISCHIEF)
@pytest.mark.parametrize("option", OPTIONS)
def test_a_function_of_the_request_may_fail(
    kind: str, option: str, mischief: str, clock: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    app, door = watched(kind, **OPTIONS[option](MISCHIEF[mischief]))
    with caplog.at_level(logging.WARNING, "tollkeeper"):
        for _ in range(3):
            for path in ("/", "/boom"):
                assert ask(app, path) == ask(bare(kind), path)
        assert len(told(caplog)) == 1
        clock.now += 61
        ask(app)
        assert len(told(caplog)) == 2
    assert option in told(caplog)[0]
    assert len(recorded(door)) == 7
    assert door.stats().errors == {option: 7}


@pytest.mark.parametrize("mischief", MISCHIEF)
def test_the_function_that_names_routes_may_fail(mischief: str) -> None:
    app, door = watched("wsgi", route=MISCHIEF[mischief])
    for path in ("/", "/boom"):
        assert ask(app, path) == ask(bare("wsgi"), path)
    events = recorded(door)
    assert len(events) + door.stats().dropped.get("error", 0) == 2
    assert {event.route for event in events} <= {"(unmatched)"}
    assert sum(door.stats().errors.values()) == 2


@pytest.mark.parametrize(
    "value", [7, 1.5, b"x", [], {}, {"key": None}, {"key": ""}, {"key": Unspeakable()}, {1: 2}, object()]
)
def test_identify_may_return_garbage(kind: str, value: Any) -> None:
    app, door = watched(kind, identify=lambda _: value)
    assert ask(app) == ask(bare(kind))
    (event,) = recorded(door)
    assert event.consumer is None
    assert door.stats().errors == {"identify": 1}


@pytest.mark.parametrize("mischief", [*MISCHIEF, "ends"])
def test_redact_may_fail_and_then_hides(kind: str, mischief: str) -> None:
    def end(*_: Any) -> NoReturn:
        raise SystemExit(3)

    app, door = watched(kind, redact=(MISCHIEF | {"ends": end})[mischief], capture="bodies")
    for path in ("/", "/boom"):
        assert ask(app, path) == ask(bare(kind), path)
    assert door.flush(10)
    assert ask(app) == ask(bare(kind))  # and the thread lives
    events = recorded(door)
    assert len(events) + sum(door.stats().dropped.values()) == 3
    assert sum(door.stats().errors.values()) > 0
    assert "world" not in repr(events)


def test_redact_may_sleep_and_no_request_waits_for_it(kind: str) -> None:
    gate = threading.Event()

    def wait(_: str, value: Any) -> Any:
        gate.wait(30)
        return value

    app, door = watched(kind, redact=wait)
    for _ in range(20):
        assert ask(app) == ask(bare(kind))
    assert not door.flush(0.05)
    assert door.stats().sent == 0
    gate.set()
    assert len(recorded(door)) == 20


def test_a_slow_identify_holds_up_its_own_request_only(kind: str) -> None:
    gate, slow, slowly = threading.Event(), threading.local(), []

    def identify(_: Any) -> str:
        if getattr(slow, "is_it", False):
            gate.wait(30)
        return "someone"

    app, door = watched(kind, identify=identify)

    def ask_slowly() -> None:
        slow.is_it = True
        slowly.append(ask(app))

    thread = threading.Thread(target=ask_slowly)
    thread.start()
    for _ in range(20):
        assert ask(app) == ask(bare(kind))
    assert door.flush(10)
    assert (door.stats().sent, slowly) == (20, [])
    gate.set()
    thread.join()
    assert len(recorded(door)) == 21


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, Out])
@pytest.mark.parametrize("option", OPTIONS)
def test_an_order_to_end_is_the_hosts_and_goes_through(kind: str, option: str, error: type[BaseException]) -> None:
    # It may as well come from outside: a timeout of gevent, a signal of gunicorn, Ctrl-C. We may not keep it.
    def end(_: Any) -> NoReturn:
        raise error("now")

    app, door = watched(kind, **OPTIONS[option](end))
    assert ask(app)[2] == f"{error.__name__} ('now',)"
    assert len(recorded(door)) == 1
    assert current() is None


def test_identify_may_ask_the_same_app(kind: str) -> None:
    depth = 0

    def identify(_: Any) -> str:
        nonlocal depth
        if depth < 5:
            depth += 1
            ask(app)
        return "someone"

    app, door = watched(kind, identify=identify)
    assert ask(app) == ask(bare(kind))
    assert len(recorded(door)) == 6


def test_identify_may_ask_the_same_app_for_ever(kind: str) -> None:
    def identify(_: Any) -> Any:
        return ask(app)

    app, door = watched(kind, identify=identify)
    assert ask(app) == ask(bare(kind))
    assert recorded(door)
    assert door.stats().errors["identify"] > 0


def test_identify_may_change_the_request(kind: str) -> None:
    def identify(request: Any) -> str:
        environ = request.environ if kind == "flask" else request.native
        environ |= {"PATH_INFO": "/other", "REQUEST_METHOD": "DELETE", "HTTP_USER_AGENT": Unspeakable()}
        for name in ("SERVER_NAME", "QUERY_STRING", "CONTENT_LENGTH", "tollkeeper.exchange"):
            environ.pop(name, None)
        return "someone"

    app, door = watched(kind, identify=identify)
    assert ask(app) == ask(bare(kind))
    (event,) = recorded(door)
    assert (event.method, event.path, event.consumer.key) == ("POST", "/", "someone")


NONSENSE: dict[str, Callable[[], None]] = {
    "a consumer of no kind": lambda: set_consumer(object()),
    "an unspeakable key": lambda: set_consumer({"key": Unspeakable()}),
    "many units": lambda: set_units("many"),
    "unspeakable units": lambda: set_units(Unspeakable()),  # type: ignore[arg-type]  # wrong on purpose
    "no number of units": lambda: set_units(float("nan")),
    "an unspeakable variable": lambda: track(value=Unspeakable()),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_view_may_say_nonsense(kind: str, nonsense: str) -> None:
    alone = bare(kind)

    def view(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        NONSENSE[nonsense]()
        inner = alone if kind == "wsgi" else bare("flask").wsgi_app
        answer: Iterable[bytes] = inner(environ, start_response)
        return answer

    app: Any = view
    if kind == "flask":
        app = bare("flask")
        app.wsgi_app = view
    observed, door = watched(kind, app)
    assert ask(observed) == ask(alone)
    assert len(recorded(door)) == 1
    assert door.stats().errors == {"current": 1}


def test_outside_of_a_request_nothing_happens() -> None:
    skip()
    for nonsense in NONSENSE.values():
        nonsense()
    assert current() is None


def test_a_clock_that_jumps_changes_no_duration(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    jumps = iter([-(10**9), 10**6, -3600, 0])

    def identify(_: Any) -> None:  # asked in the middle of the request
        jump = next(jumps)
        monkeypatch.setattr(time, "time", lambda: real() + jump)

    app, door = watched(kind, identify=identify)
    for _ in range(4):
        ask(app)
    events = recorded(door)
    assert len(events) == 4
    assert all(0 <= event.request.elapsed_time < 5 for event in events)
    assert len({event.id for event in events}) == 4
