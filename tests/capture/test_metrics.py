from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from support.requirements import require
from tollkeeper.capture.fanout import add_up
from tollkeeper.capture.metrics import StatsCollector
from tollkeeper.capture.queue import Stats
from tollkeeper.errors import MissingDependencyError


class Keeper:
    def stats(self) -> Stats:
        return Stats(captured=7, sent=3, queued=1, spooled=1, dropped={"sink": 2}, errors={"identify": 4})


class KeeperOfTwo:
    def stats(self) -> Stats:
        one = Stats(captured=7, sent=4, queued=1, dropped={"sink": 2}, errors={"sink": 3})
        two = Stats(captured=7, sent=7)
        return add_up({"mysql": one, "memory": two}, {"identify": 5})


def shown(keeper: Keeper | KeeperOfTwo) -> str:
    registry = CollectorRegistry()
    registry.register(StatsCollector(keeper))
    return generate_latest(registry).decode()


def test_every_figure_is_a_metric() -> None:
    text = shown(Keeper())
    for line in (
        "tollkeeper_capture_captured_total 7.0",
        "tollkeeper_capture_sent_total 3.0",
        "tollkeeper_capture_excluded_total 0.0",
        "tollkeeper_capture_retries_total 0.0",
        "tollkeeper_capture_queued 1.0",
        "tollkeeper_capture_spooled 1.0",
        'tollkeeper_capture_dropped_total{reason="sink"} 2.0',
        'tollkeeper_capture_errors_total{kind="identify"} 4.0',
    ):
        assert line in text


def test_where_there_are_several_sinks_each_has_its_own() -> None:
    text = shown(KeeperOfTwo())
    for line in (
        'tollkeeper_capture_captured_total{sink="mysql"} 7.0',
        'tollkeeper_capture_captured_total{sink="memory"} 7.0',
        'tollkeeper_capture_sent_total{sink="mysql"} 4.0',
        'tollkeeper_capture_queued{sink="memory"} 0.0',
        'tollkeeper_capture_dropped_total{reason="sink",sink="mysql"} 2.0',
        'tollkeeper_capture_errors_total{kind="sink",sink="mysql"} 3.0',
        'tollkeeper_capture_errors_total{kind="identify",sink=""} 5.0',
    ):
        assert line in text
    assert "sent_total 11" not in text


@pytest.mark.parametrize("keeper", [Keeper(), KeeperOfTwo()], ids=["one sink", "two"])
def test_prometheus_finds_nothing_to_say_against_them(keeper: Keeper | KeeperOfTwo) -> None:
    require("promtool", shutil.which("promtool"))
    checked = subprocess.run(["promtool", "check", "metrics"], input=shown(keeper), text=True, check=False, timeout=60)
    assert checked.returncode == 0


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingDependencyError, match=r"tollkeeper\[prometheus\]"):
        StatsCollector(Keeper())
