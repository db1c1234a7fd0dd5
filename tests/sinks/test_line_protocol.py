from __future__ import annotations

from datetime import timedelta

import pytest

from support.usage import START, full_event, make_event, make_events
from tollkeeper.errors import ConfigurationError
from tollkeeper.sinks import line_protocol
from tollkeeper.sinks.dimensions import choose_dimensions
from tollkeeper.sinks.line_protocol import checked_measurement, to_lines

TAGS = choose_dimensions(["method", "route", "status_code", "api", "api_version", "source"])


def times(lines: list[bytes]) -> list[int]:
    return [int(line.rpartition(b" ")[2]) for line in lines]


def test_a_line_tells_it_all() -> None:
    line = to_lines([full_event()], "usage_events", TAGS)[0].decode()
    series, fields, time = line.split(" ")
    assert series == (
        "usage_events,method=POST,route=/orders/{id},status_code=500,api=shop,api_version=2,source=app"  # as told
    )
    assert fields == (
        'id="full",units=2.5,elapsed_time=0.25,first_byte_time=0.125,request_size=20i,response_size=3000i,'
        'consumer="ann",error="builtins.ValueError"'
    )
    assert int(time) // 1_000_000 == full_event().time_us // 1000


def test_what_an_event_does_not_have_is_left_out() -> None:
    line = to_lines([make_event()], "m", TAGS)[0]
    assert line.startswith(b'm,method=GET,route=(unmatched),status_code=200,source=app id="1",units=1.0 17')


def test_the_consumer_is_a_tag_or_a_field() -> None:
    line = to_lines([full_event()], "m", choose_dimensions(["consumer"]))[0]
    assert line.startswith(b'm,consumer=ann id="full",units=2.5,')
    assert line.count(b"consumer") == 1


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("a b,c=d", rb"a\ b\,c\=d"),
        ("a\\b", rb"a\b"),
        ("a\\", b"a/"),
        ("a\\,b", rb"a/\,b"),
        ("a\\\\b", rb"a/\b"),
        ("a\nb\x00", rb"a\ b\ "),
        ('"q"', b'"q"'),
        ("über", "über".encode()),
    ],
)
def test_tags_are_escaped(value: str, tag: bytes) -> None:
    line = to_lines([make_event(route=value)], "m", choose_dimensions(["route"]))[0]
    assert line.startswith(b"m,route=" + tag + b' id="1"')


@pytest.mark.parametrize(("value", "text"), [('a"b', rb"a\"b"), ("a\\", rb"a\\"), ("a\nb,c d", b"a b,c d")])
def test_texts_are_escaped(value: str, text: bytes) -> None:
    assert to_lines([make_event(value)], "m", {})[0].startswith(b'm id="' + text + b'",units=1.0 ')


def test_no_two_of_a_batch_are_at_one_place_and_each_stays_at_its_own() -> None:
    events = make_events(900)
    lines = to_lines(events, "m", TAGS)
    assert len(set(times(lines))) == 900
    assert times(lines) == times(to_lines(events, "m", TAGS))
    assert times(to_lines([events[5], events[5]], "m", TAGS)) == [times(lines)[5]] * 2
    assert {time // 1_000_000 for time in times(lines)} == {events[0].time_us // 1000}


def test_two_that_meet_are_moved_apart_within_their_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_protocol, "_offset", lambda _: 999_999)
    first = make_event().time_us // 1000 * 1_000_000
    assert times(to_lines(make_events(3), "m", TAGS)) == [first + 999_999, first, first + 1]


def test_a_time_does_not_depend_on_the_batch() -> None:
    events = [make_event(number, time=START + timedelta(microseconds=number)) for number in range(1000)]
    together = to_lines(events, "m", TAGS)
    assert together == [to_lines([event], "m", TAGS)[0] for event in events]


@pytest.mark.parametrize("name", ["", "_x", "#x", "a b", "a,b", "a\n"])
def test_a_measurement_that_would_need_escaping_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="letters, digits"):
        checked_measurement(name)


def test_methods_of_clients_own_are_one_and_dimensions_are_named() -> None:
    read = choose_dimensions(["method", "status_class", "consumer"])
    event = make_event(method="X" * 30, status_code=404)
    assert [value(event) for value in read.values()] == ["(other)", "4xx", ""]
    with pytest.raises(ConfigurationError, match=r"no path, id: choose from method, route"):
        choose_dimensions(["method", "path", "id"])


def test_half_of_a_character_does_not_spoil_what_stands_beside_it() -> None:
    line = to_lines([make_event("\ud83d", route="/\ud83d", source="\ud83d")], "m", TAGS)[0]
    assert line.startswith(b'm,method=GET,route=/?,status_code=200,source=? id="?",')
