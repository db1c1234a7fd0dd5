from __future__ import annotations

import gzip
import re
import runpy
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from tollkeeper.events.access_log import AccessLog
from tollkeeper.events.codec import encode_batch
from tollkeeper.events.fingerprint import fingerprint

if TYPE_CHECKING:
    import pytest

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
    (_, worst), (_, second) = failures.most_common(2)
    assert worst > 2 * second
    assert {event.consumer.key for event in events if event.consumer} == set(MAKER["CUSTOMERS"])
    assert all(event.request.elapsed_time is not None for event in events)
    assert len({event.route for event in events}) < 20
    by_date = Counter(event.time.date() for event in events)
    sundays, wednesdays = ([count for day, count in by_date.items() if day.weekday() == which] for which in (6, 2))
    assert mean(sundays) < mean(wednesdays) / 1.3
    assert any("[REDACTED]" in (event.url or "") for event in events)
    assert b"session=" not in encode_batch(events).replace(b"session=[REDACTED]", b"")


def test_a_log_that_ends_now_lies_within_the_last_thirty_days() -> None:
    now = datetime(2031, 3, 1, 7, tzinfo=UTC)
    log = AccessLog()
    times = [log.event(line).time for line in MAKER["make_lines"](now)]
    assert now - timedelta(days=30) <= min(times) <= max(times) < now
    assert times == sorted(times)


def test_the_log_the_shop_and_its_traffic_have_the_same_customers() -> None:
    shop = runpy.run_path(str(EXAMPLES / "shop" / "app.py"))
    traffic = runpy.run_path(str(EXAMPLES / "traffic.py"))
    seller = runpy.run_path(str(EXAMPLES / "sell.py"))
    names = set(MAKER["CUSTOMERS"])
    assert names == set(traffic["CUSTOMERS"])
    keys = {f"shop-key-of-{name}": fingerprint(f"shop-key-of-{name}") for name in names}
    assert {key: who["key"] for key, who in shop["CONSUMERS"].items()} == keys
    assert set(traffic["KEYS"]) == set(keys)
    assert {name.split()[0].lower() for sold in seller["CUSTOMERS"].values() for name in sold} < names
    assert len(names) == 20


def test_a_log_can_tell_customers_by_their_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "access.log.gz"
    monkeypatch.setattr("sys.argv", ["make_access_log.py", str(log), "--requests", "200", "--keys"])
    MAKER["main"]()
    users = {line.split()[2] for line in gzip.decompress(log.read_bytes()).decode().splitlines()}
    assert "-" in users
    assert users - {"-"} <= {fingerprint(f"shop-key-of-{name}") for name in MAKER["CUSTOMERS"]}


def test_the_log_and_the_shop_have_the_same_routes() -> None:
    app = runpy.run_path(str(EXAMPLES / "shop" / "app.py"))["create_app"]()
    rules = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule) for rule in app.url_map.iter_rules()}
    log = AccessLog(consumer="user")
    events = [log.event(line) for line in stored_lines()]
    assert {event.route for event in events if event.consumer} <= rules
    app.extensions["tollkeeper"].close()
