from __future__ import annotations

import errno
import json
import multiprocessing
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw

from support.usage import full_event, make_event, make_events
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.events.event import Request
from tollkeeper.sinks import jsonl
from tollkeeper.sinks.jsonl import JSONLinesSink

if TYPE_CHECKING:
    from pathlib import Path

# Sinks survive a fork, whatever threads there are.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def test_a_line_an_event(tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    sink = JSONLinesSink(path)
    sink.send([])
    assert not path.exists()
    odd = make_event("odd", request=Request(headers=Raw(b'{"A":\r\n"b\\nc"}')), path="/a\u2028b")
    sink.send([full_event(), odd])
    sink.send([make_event()])
    sink.close()
    assert [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] == [
        event.document() for event in (full_event(), odd, make_event())
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_full_files_move_on_and_the_oldest_goes(tmp_path: Path) -> None:
    size = len(json.dumps(make_event().document(), separators=(",", ":"))) + 1
    sink = JSONLinesSink(tmp_path / "u.jsonl", max_bytes=2 * size, keep=2)
    for number in range(7):
        sink.send([make_event(number)])
    sink.send([make_event(7), make_event(8), make_event(9)])  # larger than the limit, and never split
    assert {path.name: ids(path) for path in tmp_path.iterdir()} == {
        "u.jsonl": ["7", "8", "9"],
        "u.jsonl.1": ["6"],
        "u.jsonl.2": ["4", "5"],
    }


@pytest.mark.parametrize(("max_bytes", "left"), [(1, ["2"]), (0, ["0", "1", "2"])])
def test_none_may_be_kept_and_all_in_one(tmp_path: Path, max_bytes: int, left: list[str]) -> None:
    sink = JSONLinesSink(tmp_path / "u.jsonl", max_bytes=max_bytes, keep=0)
    for event in make_events(3):
        sink.send([event])
    assert ids(tmp_path / "u.jsonl") == left
    assert len(list(tmp_path.iterdir())) == 1


def test_a_line_that_a_crash_tore_is_ended_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    sink = JSONLinesSink(path)
    sink.send([make_event(1)])
    with path.open("ab") as file:
        file.write(b'{"id": "torn')
    sink.send([make_event(2)])
    lines = path.read_bytes().splitlines()
    assert lines[1] == b'{"id": "torn'
    assert [json.loads(lines[number])["id"] for number in (0, 2)] == ["1", "2"]
    assert path.read_bytes().endswith(b"\n")


def test_a_batch_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "u.jsonl"
    sink = JSONLinesSink(path)
    sink.send([make_event(1)])
    write = os.write

    def short(fd: int, data: bytes) -> int:
        if len(data) < 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[:30])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(SinkError, match=r"No space left.*Check path, rights and space") as caught:
        sink.send(make_events(3))
    assert caught.value.retry
    monkeypatch.undo()
    sink.send(make_events(3))
    assert ids(path) == ["1", "0", "1", "2"]


def test_an_event_that_is_no_json_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = JSONLinesSink(tmp_path / "u.jsonl")
    sink.send([make_event(1), make_event(2, path="/\ud83d"), make_event(3)])
    sink.send([make_event(4, path="/\ud83d")])
    assert ids(tmp_path / "u.jsonl") == ["1", "3"]
    assert sink.rejected == 2
    assert "UnicodeEncodeError" in caplog.text


def test_a_write_may_take_less_than_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    JSONLinesSink(tmp_path / "u.jsonl").send(make_events(3))
    assert ids(tmp_path / "u.jsonl") == ["0", "1", "2"]


def test_a_place_that_cannot_be_written_is_retried(tmp_path: Path) -> None:
    sink = JSONLinesSink(tmp_path / "later" / "u.jsonl")
    with pytest.raises(SinkError, match="Cannot write") as caught:
        sink.send(make_events(1))
    assert caught.value.retry
    (tmp_path / "later").mkdir()
    sink.send(make_events(1))
    assert ids(tmp_path / "later" / "u.jsonl") == ["0"]


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    sink = JSONLinesSink(path, max_bytes=0)
    sink.send([make_event(1)])
    path.rename(tmp_path / "moved")
    sink.send([make_event(2)])
    assert (ids(tmp_path / "moved"), ids(path)) == (["1"], ["2"])


def test_who_waits_for_the_lock_goes_on_in_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    sink = JSONLinesSink(path)
    sink.send([make_event(1)])
    with path.open("ab") as held:
        jsonl.fcntl.flock(held, jsonl.fcntl.LOCK_EX)
        thread = threading.Thread(target=sink.send, args=([make_event(2)],))
        thread.start()
        path.rename(tmp_path / "u.jsonl.1")
        jsonl.fcntl.flock(held, jsonl.fcntl.LOCK_UN)
        thread.join(10)
    assert (ids(tmp_path / "u.jsonl.1"), ids(path)) == (["1"], ["2"])


def test_a_file_that_somebody_keeps_locked_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "u.jsonl"
    monkeypatch.setattr(jsonl, "WAIT_SECONDS", 0.05)
    with path.open("ab") as held:
        jsonl.fcntl.flock(held, jsonl.fcntl.LOCK_EX)
        with pytest.raises(SinkError) as caught:
            JSONLinesSink(path).send(make_events(1))
    assert caught.value.retry
    JSONLinesSink(path).send(make_events(1))
    assert ids(path) == ["0"]


def _write(path: Path, name: int, batches: int) -> None:
    sink = JSONLinesSink(path, max_bytes=20_000, keep=1000)
    for number in range(batches):
        sink.send([make_event(f"{name}-{number}-{place}") for place in range(3)])


def test_processes_share_a_file_and_its_rotation(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_write, args=(tmp_path / "u.jsonl", name, 40)) for name in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    found = [name for path in tmp_path.iterdir() for name in ids(path)]
    assert sorted(found) == sorted(f"{name}-{n}-{place}" for name in range(3) for n in range(40) for place in range(3))
    assert len(list(tmp_path.iterdir())) > 1
    for path in tmp_path.iterdir():  # batches stay together
        assert [name[-1] for name in ids(path)] == ["0", "1", "2"] * (len(ids(path)) // 3)


def test_a_child_of_a_fork_that_comes_while_a_batch_is_written_can_write(tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    sink = JSONLinesSink(path)
    stop = threading.Event()

    def keep_sending() -> None:
        number = 0
        while not stop.is_set():
            sink.send([make_event(f"parent-{number}")])
            number += 1

    thread = threading.Thread(target=keep_sending)
    thread.start()
    try:
        for number in range(5):
            child = os.fork()
            if not child:
                status = 1
                try:
                    sink.send([make_event(f"child-{number}")])
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join(10)
    assert [name for name in ids(path) if name.startswith("child")] == [f"child-{number}" for number in range(5)]


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = JSONLinesSink.from_url("jsonl:///my%20usage.jsonl")
    absolute = JSONLinesSink.from_url(f"jsonl:///{tmp_path}/absolute.jsonl")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    relative.send(make_events(1))
    absolute.send(make_events(2))
    assert (ids(tmp_path / "my usage.jsonl"), ids(tmp_path / "absolute.jsonl")) == (["0"], ["0", "1"])


@pytest.mark.parametrize(
    "url", ["jsonl:", "jsonl:///", "jsonl://secret@host/u.jsonl", "json:///u", "jsonl:///u?keep=1"]
)
def test_a_url_of_another_form_is_refused_with_the_right_one(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"jsonl:///relative\.jsonl or jsonl:////absolute\.jsonl") as caught:
        JSONLinesSink.from_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("options", [{"max_bytes": -1}, {"keep": -1}])
def test_negative_numbers_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="negative"):
        JSONLinesSink("u.jsonl", **options)


def test_a_platform_without_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "fcntl", None)
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        JSONLinesSink("u.jsonl")
