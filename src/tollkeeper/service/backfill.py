"""Bring what happened before Tollkeeper into it: access logs, and events that another place kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from tollkeeper.errors import TollkeeperError
from tollkeeper.events.access_log import AccessLog
from tollkeeper.events.codec import DecodedBatch, decode_batch
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.ids import id_from_hash
from tollkeeper.events.receipt import Receipt
from tollkeeper.events.routes import RouteTable
from tollkeeper.service.lines import STDIN, check_readable, open_lines

__all__ = ["BadLine", "Deliver", "Report", "import_access_logs", "import_events"]

BATCH = 1000
SHOWN = 5
SQLITE_MAGIC = b"SQLite format 3\0"
SINK_QUERY = "SELECT document FROM usage_events ORDER BY rowid"
IMPORTED = "import"

Deliver = Callable[[DecodedBatch], Receipt]
Progress = Callable[["Report"], object]
Item = tuple[str, int, UsageEvent | ValueError]


class BadLine(Struct, frozen=True):
    """A line that did not become an event, and why."""

    file: str
    line: int
    reason: str


class Report(Struct, kw_only=True):
    """How an import goes: ``lines = stored + duplicate + rejected + bad``; ``problems`` are the first five losses."""

    lines: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    bad: int = 0
    bytes_read: int = 0
    problems: list[BadLine] = []

    def note(self, file: str, line: int, reason: str) -> None:
        """Keep a problem when it is among the first."""
        if len(self.problems) < SHOWN:
            self.problems.append(BadLine(file, line, reason))


class _Identity(Struct):
    id: str = ""


def import_access_logs(
    files: Sequence[str],
    deliver: Deliver,
    *,
    log_format: str = "auto",
    pattern: str | None = None,
    consumer: str = "ip",
    progress: Progress = lambda _: None,
) -> Report:
    """Import every line that can be read; importing the same files again stores nothing.

    Raises:
        ConfigurationError: a file cannot be opened; nothing was imported.
        ValueError: the format, the pattern or the consumer cannot be used; nothing was imported.
        TollkeeperError: a batch could not be delivered; what came before it is stored.
    """
    table = RouteTable()

    def new_log() -> AccessLog:
        return AccessLog(log_format, pattern=pattern, consumer=consumer, route=table.route)

    new_log()
    check_readable(files)
    report = Report()
    return _deliver_all(_log_events(files, new_log, report), deliver, report, progress)


def import_events(files: Sequence[str], deliver: Deliver, *, progress: Progress = lambda _: None) -> Report:
    """Import events as they stand on the wire: a JSON object a line, or the database that the SQLite sink wrote.

    Ids and sources are kept; an event without an id gets the hash of its line, so that a second import stores nothing.

    Raises:
        ConfigurationError: a file cannot be opened; nothing was imported.
        TollkeeperError: a batch could not be delivered; what came before it is stored.
    """
    check_readable(files)
    report = Report()
    return _deliver_all(_wire_events(files, report), deliver, report, progress)


def _deliver_all(items: Iterable[Item], deliver: Deliver, report: Report, progress: Progress) -> Report:
    events: list[UsageEvent] = []
    places: list[tuple[str, int]] = []
    waiting = 0
    for file, number, event in items:
        waiting += 1
        if isinstance(event, ValueError):
            report.bad += 1
            report.note(file, number, str(event))
        else:
            events.append(event)
            places.append((file, number))
        if waiting == BATCH:
            _deliver_batch(events, places, deliver, report)
            report.lines += waiting
            events, places, waiting = [], [], 0
            progress(report)
    _deliver_batch(events, places, deliver, report)
    report.lines += waiting
    progress(report)
    return report


def _deliver_batch(events: list[UsageEvent], places: list[tuple[str, int]], deliver: Deliver, report: Report) -> None:
    if not events:
        return
    receipt = deliver(DecodedBatch(len(events), events, []))
    report.stored += receipt.stored
    report.duplicate += receipt.duplicate
    report.rejected += receipt.rejected
    for error in receipt.errors:
        report.note(*places[error.index], f"rejected: {error.detail}")


def _log_events(files: Sequence[str], new_log: Callable[[], AccessLog], report: Report) -> Iterator[Item]:
    for file in files:
        log = new_log()
        for number, line in _lines(file, report):
            if isinstance(line, ValueError):
                yield file, number, line
                continue
            try:
                yield file, number, log.event(line)
            except ValueError as error:
                yield file, number, error


def _wire_events(files: Sequence[str], report: Report) -> Iterator[Item]:
    for file in files:
        for number, line in _database_rows(file, report) if _is_sqlite(file) else _lines(file, report):
            if isinstance(line, ValueError):
                yield file, number, line
                continue
            try:
                yield file, number, _wire_event(line)
            except ValueError as error:
                yield file, number, error


def _wire_event(line: str) -> UsageEvent:
    try:
        batch = decode_batch(line.encode(), source=IMPORTED)
    except TollkeeperError as error:
        raise ValueError(error.detail) from None
    if batch.errors:
        raise ValueError(batch.errors[0].detail)
    if len(batch.events) != 1:
        raise ValueError("it is an array: write one event a line")
    event = batch.events[0]
    if msgspec.json.decode(line, type=_Identity).id:
        return event
    return msgspec.structs.replace(event, id=id_from_hash(event.time_us, sha256(line.encode()).digest()))


def _lines(file: str, report: Report) -> Iterator[tuple[int, str | ValueError]]:
    def count(size: int) -> None:
        report.bytes_read += size

    return open_lines(file, count)


def _is_sqlite(file: str) -> bool:
    if file == STDIN or not Path(file).is_file():
        return False
    with Path(file).open("rb") as stream:
        return stream.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def _database_rows(file: str, report: Report) -> Iterator[tuple[int, str | ValueError]]:
    number = 0
    try:
        with closing(sqlite3.connect(f"{Path(file).resolve().as_uri()}?mode=ro", uri=True)) as database:
            for number, row in enumerate(database.execute(SINK_QUERY), 1):
                yield number, row[0].decode() if isinstance(row[0], bytes) else str(row[0])
    except sqlite3.Error as error:
        yield number + 1, ValueError(f"the database cannot be read from here on: {error}")
    report.bytes_read += Path(file).stat().st_size
