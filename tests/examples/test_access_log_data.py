from __future__ import annotations

import gzip
import runpy
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tollkeeper.events.access_log import AccessLog
from tollkeeper.events.codec import encode_batch

EXAMPLES = Path(__file__).parents[2] / "examples"
MAKER = runpy.run_path(str(EXAMPLES / "make_access_log.py"))


def stored_lines() -> list[str]:
    with gzip.open(EXAMPLES / "data" / "access.log.gz", "rt", encoding="utf-8") as lines:
        return lines.read().splitlines()


def test_the_log_in_the_repository_is_what_the_script_makes() -> None:
    assert MAKER["make_lines"]() == stored_lines()


def test_every_line_becomes_an_event_and_statuses_are_those_of_the_text() -> None:
    lines = stored_lines()
    log = AccessLog()
    events = [log.event(line) for line in lines]
    assert len({event.id for event in events}) == len(lines) == MAKER["REQUESTS"]
    assert Counter(str(event.status_code) for event in events) == Counter(
        line.rsplit('" "', 1)[0].rsplit('" ', 2)[1][:3] if line.count('" "') else "" for line in lines
    )


def test_it_has_rhythm_errors_and_noise_and_gives_no_secret_away() -> None:
    log = AccessLog(consumer="user")
    events = [log.event(line) for line in stored_lines()]
    failures = Counter(event.time.date() for event in events if event.status_code >= 500)
    assert len(failures) == 1
    assert failures.total() > 30
    assert {event.consumer.key for event in events if event.consumer} == {"alpine", "harbour", "nimbus", "orchard"}
    assert len({event.route for event in events}) < 20
    weekdays = Counter(event.time.weekday() for event in events)
    assert weekdays[6] < weekdays[2] / 1.5
    assert any("[REDACTED]" in (event.url or "") for event in events)
    assert b"session=" not in encode_batch(events).replace(b"session=[REDACTED]", b"")


def test_a_log_that_ends_now_lies_within_the_last_thirty_days() -> None:
    now = datetime(2031, 3, 1, 7, tzinfo=UTC)
    log = AccessLog()
    times = [log.event(line).time for line in MAKER["make_lines"](now)]
    assert now - timedelta(days=30) <= min(times) <= max(times) < now
    assert times == sorted(times)
