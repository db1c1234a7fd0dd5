from __future__ import annotations

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
    ],
)
def test_figures_are_written_for_people(name: str, value: Any, text: str) -> None:
    assert FILTERS[name](value) == text


def test_a_change_is_good_or_bad_news() -> None:
    up = compare(120, 100, good="up")
    assert up is not None
    assert (up.text, up.mood) == ("▲ 20.0%", "good")
    worse = compare(0.03, 0.02, good="down")
    assert worse is not None
    assert (worse.text, worse.mood) == ("▲ 50.0%", "bad")
    same = compare(100, 100, good="up")
    assert same is not None
    assert same.mood == "flat"
    huge = compare(10_000, 1, good="up")
    assert huge is not None
    assert huge.text == "▲ >999%"
    assert compare(5, 0, good="up") is None
    assert compare(None, 5, good="up") is None


@pytest.mark.parametrize("values", [[], [None], [3.0], [None, 2.0, None], [1.0, 1.0], [0.0, 5.0, None, 2.0]])
def test_a_curve_can_always_be_drawn(values: list[float | None]) -> None:
    text = str(sparkline(values))
    assert text.count("<polyline") == 1
    assert "nan" not in text
