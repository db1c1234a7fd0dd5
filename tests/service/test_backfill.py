from __future__ import annotations

import gzip
import io
import os
import sqlite3
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.errors import ConfigurationError, StoreError
from tollkeeper.events.codec import DecodedBatch, encode_batch
from tollkeeper.events.receipt import EventError, Receipt
from tollkeeper.service import lines
from tollkeeper.service.backfill import BadLine, Report, import_access_logs, import_events
from tollkeeper.service.lines import open_lines, total_bytes

if TYPE_CHECKING:
    from tollkeeper.events.event import UsageEvent

EVENT = (
    '{"id": "a", "source": "app", "time": "2015-05-17T10:05:03Z", "method": "GET", "path": "/a", "status_code": 200}'
)
NAMELESS = EVENT.replace('"id": "a", "source": "app", ', "")


class Shelf:
    """Keeps what is delivered as a store does: by source and id."""

    def __init__(self) -> None:
        self.events: dict[tuple[str, str], UsageEvent] = {}
        self.sizes: list[int] = []

    def __call__(self, batch: DecodedBatch) -> Receipt:
        before = len(self.events)
        self.sizes.append(len(batch.events))
        self.events.update(((event.source, event.id), event) for event in batch.events)
        stored = len(self.events) - before
        return Receipt(received=batch.received, stored=stored, duplicate=batch.received - stored, rejected=0)


def line(place: int, status: int = 200) -> str:
    return f'10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /users/{place} HTTP/1.1" {status} 5 "-" "curl"'


def write(path: Path, content: list[str]) -> str:
    path.write_text("".join(f"{text}\n" for text in content), encoding="utf-8")
    return str(path)


def test_every_line_is_imported_once_however_often_it_is_tried(tmp_path: Path) -> None:
    file = write(tmp_path / "a.log", [line(place) for place in range(2500)] + [line(1), line(1)])
    shelf, seen = Shelf(), []
    report = import_access_logs([file], shelf, progress=lambda now: seen.append((now.lines, now.bytes_read)))
    assert (report.lines, report.stored, report.duplicate, report.bad) == (2502, 2502, 0, 0)
    assert shelf.sizes == [1000, 1000, 502]
    assert [count for count, _ in seen] == [1000, 2000, 2502]
    assert seen[-1][1] == Path(file).stat().st_size == total_bytes([file])
    again = import_access_logs([file], shelf)
    assert (again.stored, again.duplicate) == (0, 2502)


def test_a_log_that_has_grown_adds_only_what_is_new(tmp_path: Path) -> None:
    path, shelf = tmp_path / "a.log", Shelf()
    import_access_logs([write(path, [line(1), line(1)])], shelf)
    report = import_access_logs([write(path, [line(1), line(1), line(1), line(2)])], shelf)
    assert (report.stored, report.duplicate) == (2, 2)


def test_bad_lines_are_counted_and_the_first_five_named(tmp_path: Path) -> None:
    good = [line(place) for place in range(20)]
    for place in (3, 6, 9, 12, 15, 18):
        good.insert(place, f"garbage {place}")
    file = write(tmp_path / "a.log", good)
    report = import_access_logs([file], Shelf())
    assert (report.lines, report.stored, report.bad) == (26, 20, 6)
    assert [problem.line for problem in report.problems] == [4, 7, 10, 13, 16]
    assert {problem.file for problem in report.problems} == {file}


def test_gzip_is_known_by_its_bytes_and_gives_the_same_events(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.log", [line(1), line(2)])
    content = Path(plain).read_bytes()
    zipped = tmp_path / "b.log"
    zipped.write_bytes(gzip.compress(content[:40]) + gzip.compress(content[40:]))
    shelf = Shelf()
    report = import_access_logs([plain, str(zipped)], shelf)
    assert (report.stored, report.duplicate, report.bad) == (2, 2, 0)


def test_damaged_gzip_is_a_bad_line_and_the_next_file_is_read(tmp_path: Path) -> None:
    cut = tmp_path / "cut.gz"
    noise = os.urandom(300_000).hex()
    cut.write_bytes(gzip.compress("".join(f"{line(1)}\n{noise}\n").encode())[:-200_000])
    report = import_access_logs([str(cut), write(tmp_path / "a.log", [line(2)])], Shelf())
    assert report.stored >= 1
    assert report.bad >= 1
    assert any("cannot be read from here on" in problem.reason for problem in report.problems)


def test_any_bytes_survive_and_long_lines_are_bounded(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    odd = line(1).replace("curl", "X").encode().replace(b'"X"', b'"\xff\xfe caf\xc3\xa9"')
    file.write_bytes(b"x" * 200_000 + b"\n" + odd + b"\r\n" + line(2).encode())
    shelf = Shelf()
    report = import_access_logs([str(file)], shelf)
    assert (report.lines, report.stored, report.bad) == (3, 2, 1)
    assert report.problems == [BadLine(str(file), 1, "it is longer than 65536 bytes")]
    assert {event.client.user_agent for event in shelf.events.values()} == {r"\xff\xfe café", "curl"}


@given(content=st.lists(st.binary(max_size=12).filter(lambda text: b"\n" not in text)), bound=st.integers(1, 8))
def test_lines_are_numbered_as_in_the_file(
    tmp_path_factory: pytest.TempPathFactory, content: list[bytes], bound: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "lines.log"
    file.write_bytes(b"".join(text + b"\n" for text in content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "MAX_LINE", bound)
        patch.setattr(lines, "GZIP_MAGIC", b"\n\n\n")  # never the two bytes that are compared
        read = list(open_lines(str(file), lambda _: None))
    assert [number for number, _ in read] == list(range(1, len(content) + 1))
    assert [isinstance(text, ValueError) for _, text in read] == [len(text) > bound for text in content]


def test_a_missing_file_is_named_before_anything_is_imported(tmp_path: Path) -> None:
    shelf = Shelf()
    files = [write(tmp_path / "a.log", [line(1)]), str(tmp_path / "absent.log")]
    with pytest.raises(ConfigurationError, match=r"absent\.log"):
        import_access_logs(files, shelf)
    with pytest.raises(ConfigurationError, match="directory"):
        import_events([str(tmp_path)], shelf)
    assert not shelf.events


def test_options_that_cannot_be_used_import_nothing(tmp_path: Path) -> None:
    shelf = Shelf()
    with pytest.raises(ValueError, match="no group"):
        import_access_logs([write(tmp_path / "a.log", [line(1)])], shelf, consumer="x")
    assert not shelf.events


def test_standard_input_and_pipes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "a.log", [line(1)])
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(f"{line(2)}\n"), daemon=True)
    writer.start()
    with Path(file).open("rb") as raw, io.TextIOWrapper(raw) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        report = import_access_logs(["-", str(pipe)], Shelf())
    writer.join(5)
    assert (report.stored, report.bad) == (2, 0)
    assert total_bytes(["-"]) is total_bytes([str(pipe)]) is None


def test_what_the_store_rejects_is_named_by_its_line(tmp_path: Path) -> None:
    def deliver(batch: DecodedBatch) -> Receipt:
        error = EventError(1, "odd", "it is odd")
        return Receipt(received=batch.received, stored=batch.received - 1, duplicate=0, rejected=1, errors=[error])

    file = write(tmp_path / "a.log", [line(1), "garbage", line(2)])
    report = import_access_logs([file], deliver)
    assert (report.lines, report.stored, report.rejected, report.bad) == (3, 1, 1, 1)
    assert report.problems[-1] == BadLine(file, 3, "rejected: it is odd")


def test_a_store_that_fails_ends_the_import(tmp_path: Path) -> None:
    def deliver(_: DecodedBatch) -> Receipt:
        raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="disk is full"):
        import_access_logs([write(tmp_path / "a.log", [line(1)])], deliver)


def test_events_keep_their_ids_and_the_nameless_get_lasting_ones(tmp_path: Path) -> None:
    content = [EVENT, NAMELESS, "{}", "[]", f"[{EVENT}, {EVENT}]", "not json", '{"id": 1}', EVENT.replace("a", "b", 1)]
    file = write(tmp_path / "events.jsonl", content)
    shelf = Shelf()
    report = import_events([file], shelf)
    assert (report.lines, report.stored, report.bad) == (8, 3, 5)
    again = import_events([file], shelf)
    assert (again.stored, again.duplicate) == (0, 3)
    assert ("app", "a") in shelf.events
    assert {source for source, _ in shelf.events} == {"app", "import"}


def sink_database(path: Path, documents: list[str]) -> str:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE usage_events (id TEXT, document JSON)")
        database.executemany("INSERT INTO usage_events VALUES ('x', ?)", [(text,) for text in documents])
    database.close()
    return str(path)


def test_the_database_of_the_sqlite_sink_is_read_row_by_row(tmp_path: Path) -> None:
    file = sink_database(tmp_path / "usage.db", [EVENT, "odd", NAMELESS])
    shelf = Shelf()
    report = import_events([file], shelf)
    assert (report.lines, report.stored, report.bad) == (3, 2, 1)
    assert report.problems[0].line == 2
    assert report.bytes_read == Path(file).stat().st_size


def test_a_database_without_the_sinks_table_is_a_bad_line(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as database:
        database.execute("CREATE TABLE x (y)")
    database.close()
    report = import_events([str(tmp_path / "other.db")], Shelf())
    assert (report.lines, report.bad) == (1, 1)
    assert "usage_events" in report.problems[0].reason


def test_an_empty_file_is_an_empty_import(tmp_path: Path) -> None:
    assert import_access_logs([write(tmp_path / "a.log", [])], Shelf()) == Report()


def test_wire_events_survive_the_journey(tmp_path: Path) -> None:
    shelf = Shelf()
    import_access_logs([write(tmp_path / "a.log", [line(1), line(2, 404)])], shelf)
    wire = write(tmp_path / "events.jsonl", [encode_batch([event]).decode()[1:-1] for event in shelf.events.values()])
    report = import_events([wire], shelf)
    assert (report.stored, report.duplicate) == (0, 2)
