from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tollkeeper.dashboard.cards import compare, sparkline
from tollkeeper.dashboard.formats import FILTERS

NONE = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("compact", 0, "0"),
        ("compact", 999, "999"),
        ("compact", 4_087_000, "4.09M"),
        ("compact", 12_345, "12.3K"),
        ("compact", 999_999, "1.00M"),
        ("percent", None, NONE),
        ("percent", 0, "0%"),
        ("percent", 0.0196, "1.96%"),
        ("percent", 0.5, "50.0%"),
        ("duration", None, NONE),
        ("duration", 0.0042, "4.2 ms"),
        ("duration", 0.122, "122 ms"),
        ("duration", 0.99999, "1.00 s"),
        ("duration", 1.25, "1.25 s"),
        ("size", 0, "0 B"),
        ("size", 1990, "1.99 KB"),
        ("size", 999_999, "1.00 MB"),
        ("size", 5_000_000_000, "5.00 GB"),
        ("whole", 1_234_567, "1,234,567"),
        ("whole", None, NONE),
        ("moment", 1_790_000_123_456_789, "Sep 21, 14:15"),
        ("iso", 1_790_000_123_456_789, "2026-09-21T14:15:23.456Z"),
        ("pretty", {"a": [1, "é"]}, '{\n  "a": [\n    1,\n    "é"\n  ]\n}'),
        ("pretty", '{"a":1}', '{\n  "a": 1\n}'),
        ("pretty", "plain", "plain"),
        ("pretty", "12", "12"),
        ("pretty", None, "null"),
        ("status_class", 404, "4xx"),
        ("status_class", 999, "other"),
        ("share", 0.0, "0%"),
        ("share", 0.0001, "<1%"),
        ("share", 0.29, "29%"),
        ("share", 0.7999, "79%"),
        ("share", 0.99999, "99%"),
        ("share", 12.5, "1,250%"),
        ("level", 0.79, "fine"),
        ("level", 0.8, "near"),
        ("level", 0.95, "full"),
        ("units", Decimal("1234567.500"), "1,234,567.5"),
        ("units", Decimal(100), "100"),
    ],
)
def test_figures_are_written_for_people(name: str, value: Any, text: str) -> None:
    assert FILTERS[name](value) == text


def test_a_change_is_good_or_bad_news() -> None:
    up = compare(120, 100, good="up")
    assert up is not None
    assert (up.text, up.mood) == ("▲ 20.0%", "good")
    worse = compare(0.039, 0.02, good="down", points=True)
    assert worse is not None
    assert (worse.text, worse.mood) == ("▲ 1.9 pt", "bad")
    first = compare(0.019, 0.0, good="down", points=True)
    assert first is not None
    assert first.text == "▲ 1.9 pt"
    same = compare(100, 100, good="up")
    assert same is not None
    assert same.mood == "flat"
    huge = compare(10_000, 1, good="up")
    assert huge is not None
    assert huge.text == "▲ >999%"
    assert compare(5, 0, good="up") is None
    assert compare(None, 5, good="up") is None


@pytest.mark.parametrize("values", [[1.0, 1.0], [0.0, 5.0, None, 2.0], [None, 2.0, 3.0]])
def test_a_curve_bridges_gaps(values: list[float | None]) -> None:
    text = str(sparkline(values))
    assert text.count("<polyline") == 1
    assert "nan" not in text


def test_a_curve_tells_nothing_known_from_nothing_and_from_no_change() -> None:
    assert not sparkline([])
    assert not sparkline([None, None])
    assert 'points="0.0,16.0 200.0,16.0"' in str(sparkline([3.0, 3.0]))
    assert 'points="0.0,30.0 200.0,30.0"' in str(sparkline([0.0, 0.0]))
    assert 'class="dot" points="100.0,16.0 100.0,16.0"' in str(sparkline([None, 2.0, None]))


def test_what_is_too_deep_to_be_written_says_so() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert "too deeply nested" in FILTERS["pretty"](deep)
