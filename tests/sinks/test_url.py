from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tollkeeper.errors import ConfigurationError
from tollkeeper.sinks.collector import CollectorSink
from tollkeeper.sinks.memory import MemorySink
from tollkeeper.sinks.sqlite import SQLiteSink
from tollkeeper.sinks.url import SCHEMES, sink_from_url

if TYPE_CHECKING:
    from pathlib import Path


def authorization(sink: object) -> str | None:
    assert isinstance(sink, CollectorSink)
    return sink._headers.get("Authorization")


def test_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(sink_from_url("memory:"), MemorySink)
    relative = sink_from_url("sqlite:///usage%20.db")
    assert isinstance(relative, SQLiteSink)
    assert relative._path == str(tmp_path / "usage .db")
    absolute = sink_from_url(f"sqlite:///{tmp_path}/usage.db")
    assert isinstance(absolute, SQLiteSink)
    assert absolute._path == str(tmp_path / "usage.db")
    service = sink_from_url("https://u:p@host/base/")
    assert isinstance(service, CollectorSink)
    assert service._connection.shown == "https://host/base/v1/events"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_has_a_class_that_is_made_from_a_url(scheme: str) -> None:
    kind = SCHEMES[scheme]
    sink = getattr(importlib.import_module(f"tollkeeper.sinks.{kind.module}"), kind.name)
    assert kind.name == "CollectorSink" or callable(sink.from_url)
    assert callable(sink.send)
    assert callable(sink.close)


def test_a_sink_is_imported_when_its_url_asks_for_it() -> None:
    script = """
    import sys
    from tollkeeper.sinks.url import sink_from_url
    sink_from_url("memory:")
    print(sorted(name for name in sys.modules if name.startswith("tollkeeper.sinks.")))
    """
    run = [sys.executable, "-c", "\n".join(line.strip() for line in script.splitlines())]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "['tollkeeper.sinks.memory', 'tollkeeper.sinks.url']"


def test_where_the_token_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLKEEPER_TOKEN", "from-environment")
    assert authorization(sink_from_url("http://:in%20url@host:1", token="given")) == "Bearer given"
    assert authorization(sink_from_url("http://:in%20url@host:1")) == "Bearer in url"
    assert authorization(sink_from_url("http://user@host:1")) == "Bearer user"
    assert authorization(sink_from_url("http://host:1")) == "Bearer from-environment"
    monkeypatch.delenv("TOLLKEEPER_TOKEN")
    assert authorization(sink_from_url("http://host:1")) is None


@pytest.mark.parametrize("url", ["", "kafka://user:pw@x", "usage.db", "kafka://[pw", "pw"])
def test_an_unknown_url_names_those_that_are_known_and_no_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///usage") as caught:
        sink_from_url(url)
    for scheme in SCHEMES:
        assert scheme.replace("+https", "+http(s)").partition("+http")[0].removesuffix("s") in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite://", "sqlite:///", "sqlite://usage.db", "sqlite:///usage.db?mode=pw", "http://"),
        *("http://x:y", "http://u:pw/d@x", "http://u:pw@[x"),
    ],
)
def test_a_url_that_is_wrong_says_how_it_is_written_and_no_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"(?i)HOST|sqlite:///usage") as caught:
        sink_from_url(url)
    assert "pw" not in str(caught.value)
    assert caught.value.__cause__ is None
