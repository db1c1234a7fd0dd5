from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.dashboard.ranges import MAX_BUCKETS, PRESETS, parse_range, to_field
from tollkeeper.errors import InvalidRequestError
from tollkeeper.metering.window import DAY, HOUR, QUARTER

NOW = 1_790_000_123_456_789


@pytest.mark.parametrize(("name", "step"), [("24h", QUARTER), ("7d", 2 * HOUR), ("30d", 6 * HOUR), ("90d", DAY)])
def test_a_preset_ends_with_the_bucket_of_now(name: str, step: int) -> None:
    span = parse_range({"range": name}, now=NOW, hourly=False)
    assert (span.step, span.end - span.start) == (step, PRESETS[name][0])
    assert span.end - step <= NOW < span.end
    assert span.start % step == 0
    assert span.partial == len(span.starts) - 1
    assert len(span.starts) <= MAX_BUCKETS
    assert (span.previous.end, span.previous.end - span.previous.start) == (span.start, span.end - span.start)


def test_a_consumer_is_counted_by_the_hour() -> None:
    assert parse_range({}, now=NOW, hourly=True).step == HOUR
    assert parse_range({"from": to_field(NOW - HOUR)}, now=NOW, hourly=True).step == HOUR


def test_the_end_of_a_bucket_belongs_to_the_next() -> None:
    edge = NOW // DAY * DAY
    assert parse_range({}, now=edge, hourly=False).end == edge + QUARTER


@given(
    start=st.integers(0, NOW // 60_000_000 - 1),
    length=st.integers(1, 60 * 24 * 365 * 30),
    hourly=st.booleans(),
)
def test_a_custom_span_is_covered_by_few_aligned_buckets(*, start: int, length: int, hourly: bool) -> None:
    minute = 60_000_000
    query = {"from": to_field(start * minute), "to": to_field((start + length) * minute)}
    span = parse_range(query, now=NOW, hourly=hourly)
    assert span.start <= span.asked.start < span.asked.end <= span.end
    assert span.asked.start == start * minute
    assert span.start % span.step == span.end % span.step == 0
    assert 1 <= len(span.starts) <= MAX_BUCKETS
    assert span.step >= (HOUR if hourly else QUARTER)
    assert span.query["from"] == query["from"]


@pytest.mark.parametrize(
    "query",
    [
        {"range": "9y"},
        {"from": "yesterday"},
        {"to": "2026-99-01"},
        {"from": "2026-01-02", "to": "2026-01-01"},
        {"from": "2026-01-01", "to": "2026-01-01"},
        {"from": "2100-01-01"},
        {"from": "1960-01-01"},
        {"from": "0001-01-01T00:00+23:00"},
    ],
)
def test_a_bad_span_says_what_to_write(query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequestError, match=r"choose|write|must"):
        parse_range(query, now=NOW, hourly=False)


def test_a_field_holds_no_time_behind_its_last() -> None:
    assert to_field(0) == "1970-01-01T00:00"
    assert to_field(2**62) == "9999-12-31T23:59"
