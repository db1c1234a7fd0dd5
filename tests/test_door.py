from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import flask
import pytest

from support.spooled import Taker
from tollkeeper.capture.fanout import Shared
from tollkeeper.errors import ConfigurationError
from tollkeeper.flask import Tollkeeper
from tollkeeper.sinks.memory import MemorySink
from tollkeeper.sinks.sqlite import SQLiteSink

if TYPE_CHECKING:
    from pathlib import Path


def opened(sink: Any = None, **more: Any) -> Tollkeeper:
    """A keeper of an app, whose config and options are ``more``."""
    app = flask.Flask("shop")
    app.config.update({name: more.pop(name) for name in list(more) if name.isupper()})
    keeper = Tollkeeper(app, sink=sink, **more)
    keeper.close()
    return keeper


class _Sink(Taker):
    """A sink whose name says nothing."""


def test_urls_and_objects_in_any_mix(tmp_path: Path) -> None:
    mine = Taker()
    keeper = opened([f"sqlite:///{tmp_path}/a.db", mine, "memory:", MemorySink(), f"sqlite:///{tmp_path}/b.db"])
    assert list(keeper.sinks) == ["sqlite", "taker", "memory", "memory-2", "sqlite-2"]
    assert keeper.sinks["taker"] is mine
    assert keeper.sink == list(keeper.sinks.values())
    assert list(keeper.stats().sinks) == list(keeper.sinks)


@pytest.mark.parametrize("sink", ["memory:", ["memory:"], ("memory:",), [MemorySink()]])
def test_one_is_one_however_it_is_given(sink: Any) -> None:
    keeper = opened(sink)
    assert isinstance(keeper.sink, MemorySink)
    assert keeper.sinks == {"memory": keeper.sink}


def test_a_sink_without_a_telling_name_is_called_sink() -> None:
    assert list(opened([_Sink(), _Sink()]).sinks) == ["sink", "sink-2"]


@pytest.mark.parametrize("between", [" ", "\n", "  \t\n "])
def test_a_text_may_hold_several_urls(between: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = between.join(["memory:", f"sqlite:///{tmp_path}/my usage.db", "http://127.0.0.1:9"])
    monkeypatch.setenv("TOLLKEEPER_SINK", text)
    for keeper in (opened(text), opened(), opened(TOLLKEEPER_SINK=text)):
        assert list(keeper.sinks) == ["memory", "sqlite", "collector"]
        sqlite = keeper.sinks["sqlite"]
        assert isinstance(sqlite, SQLiteSink)
        assert sqlite._path.endswith("my usage.db")


@pytest.mark.parametrize("sink", ["", [], (), " ", None])
def test_without_any_nothing_is_recorded(sink: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tollkeeper"):
        keeper = opened(sink)
    assert keeper.sinks == {}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("sink", [7, [7], [MemorySink], {"memory:": 1}, [["memory:"]], [None], object()])
def test_what_is_no_sink_is_told(sink: Any) -> None:
    with pytest.raises(ConfigurationError, match="no sink"):
        opened(sink)


def test_what_is_there_twice_is_told() -> None:
    same = MemorySink()
    for sink in ([same, "memory:", same], ["sqlite:///a.db", "sqlite:///a.db"], "memory: memory:"):
        with pytest.raises(ConfigurationError, match="twice"):
            opened(sink)


def places(spool: Path) -> set[str]:
    return {path.parent.name for path in spool.glob("*/*")}


def test_each_has_a_spool_of_its_own_that_is_found_again_in_any_order(tmp_path: Path) -> None:
    down = ["http://:one@127.0.0.1:9", "post+http://127.0.0.1:9/in", "http://127.0.0.1:10"]

    def left_by(sinks: list[Any], name: str) -> set[str]:
        app = flask.Flask("shop")
        keeper = Tollkeeper(app, sink=sinks, spool=tmp_path / name)
        app.test_client().get("/", buffered=True)
        keeper.close(0.3)
        return places(tmp_path / name)

    first = left_by(down, "first")
    assert len(first) == 3
    assert left_by(["http://127.0.0.1:10", "http://:two@127.0.0.1:9", down[1]], "second") == first
    assert "one" not in "".join(first)
    twins = left_by(["http://:one@127.0.0.1:9", "http://:two@127.0.0.1:9", Taker([KeyError()] * 99)], "third")
    assert len(twins) == 3


def test_one_has_all_of_the_spool(tmp_path: Path) -> None:
    keeper = opened(["memory:"], spool=tmp_path / "spool")
    assert keeper._recorder is not None
    (lane,) = keeper._recorder._lanes.values()
    assert lane._forwarder is not None
    assert lane._forwarder._spool.path == tmp_path / "spool"


def test_a_second_keeper_of_an_app_shows_the_sinks_of_the_first() -> None:
    app = flask.Flask("shop")
    first = Tollkeeper(app, sink=["memory:", Taker()])
    second = Tollkeeper(app)
    assert second.sinks is first.sinks
    first.close()


def test_a_shared_item_is_built_once_and_fails_for_all() -> None:
    calls: list[int] = []

    def build(number: int) -> Any:
        calls.append(number)
        raise SystemExit(number)

    shared = Shared(7)
    for _ in range(3):
        with pytest.raises(SystemExit):
            shared.event(build)
    assert calls == [7]
