from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tollkeeper.errors import ConfigurationError
from tollkeeper.sinks.collector import CollectorSink
from tollkeeper.sinks.memory import MemorySink
from tollkeeper.sinks.sqlite import SQLiteSink
from tollkeeper.sinks.url import sink_from_url

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
    assert service._shown == "https://host/base/v1/events"


def test_where_the_token_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLKEEPER_TOKEN", "from-environment")
    assert authorization(sink_from_url("http://:in%20url@host:1", token="given")) == "Bearer given"
    assert authorization(sink_from_url("http://:in%20url@host:1")) == "Bearer in url"
    assert authorization(sink_from_url("http://user@host:1")) == "Bearer user"
    assert authorization(sink_from_url("http://host:1")) == "Bearer from-environment"
    monkeypatch.delenv("TOLLKEEPER_TOKEN")
    assert authorization(sink_from_url("http://host:1")) is None


@pytest.mark.parametrize(
    "url",
    ["", "kafka://user:pw@x", "usage.db", "sqlite://", "sqlite:///", "sqlite://usage.db", "http://", "http://x:y"],
)
def test_an_unknown_url_names_those_that_are_known(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///usage") as caught:
        sink_from_url(url)
    assert "pw" not in str(caught.value)
