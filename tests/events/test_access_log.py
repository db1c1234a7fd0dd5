from __future__ import annotations

import contextlib
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.events import access_log
from tollkeeper.events.access_log import SOURCE, UNREADABLE, AccessLog
from tollkeeper.events.codec import decode_batch, encode_batch
from tollkeeper.events.event import Consumer
from tollkeeper.events.ids import id_from_hash

COMMON = '10.0.0.7 - bob [17/May/2015:10:05:03 +0000] "GET /users/17?page=2 HTTP/1.1" 200 512'
COMBINED = f'{COMMON} "https://example.org/" "curl/8.0"'
TIME = datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC)


def with_request(request: str) -> str:
    return f'::1 - - [17/May/2015:10:05:03 +0000] "{request}" 400 0 "-" "-"'


def test_a_combined_line_becomes_an_event() -> None:
    event = AccessLog().event(COMBINED)
    assert event.time == TIME
    assert (event.method, event.path, event.route, event.status_code) == ("GET", "/users/17", "/users/{id}", 200)
    assert event.url == "/users/17?page=2"
    assert event.source == SOURCE
    assert event.consumer == Consumer("10.0.0.7")
    assert event.client.remote_address == "10.0.0.7"
    assert event.client.referer == "https://example.org/"
    assert event.client.user_agent == "curl/8.0"
    assert event.response.content_length == 512
    assert event.request.elapsed_time is None


def test_the_id_is_the_hash_of_the_line_and_of_how_many_came_before_it() -> None:
    log = AccessLog()
    ids = [log.event(line).id for line in (COMBINED, COMBINED, COMBINED)]
    assert ids == [
        id_from_hash(1_431_857_103_000_000, hashlib.sha256(COMBINED.encode() + b"\0%d" % place).digest())
        for place in range(3)
    ]
    again = AccessLog("combined", consumer="user")
    assert [again.event(COMBINED).id for _ in range(3)] == ids


def test_repetitions_are_told_apart_across_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "GENERATION", 4)
    log = AccessLog()
    ids = set()
    for place in range(8):
        ids.add(log.event(COMBINED).id)
        log.event(COMBINED.replace("/17", f"/{place}"))
    assert len(ids) == 8


@pytest.mark.parametrize(
    ("tail", "elapsed"),
    [
        ("", None),
        (" 0.125", 0.125),
        (" 0.125 more", 0.125),
        (' "203.0.113.5"', None),
        (" 125000", None),
        (" 99999999999.0", None),
    ],
)
def test_what_follows_the_user_agent_is_tolerated_and_decimals_are_seconds(tail: str, elapsed: float | None) -> None:
    assert AccessLog().event(COMBINED + tail).request.elapsed_time == elapsed


def test_the_virtual_host_before_the_address_is_skipped() -> None:
    event = AccessLog().event(f"shop.example.org:443 {COMBINED}")
    assert event.consumer == Consumer("10.0.0.7")


def test_ipv6_and_absent_fields() -> None:
    line = '2001:db8::1 - - [17/May/2015:12:05:03 +0200] "GET / HTTP/1.1" 304 - "-" "-"'
    event = AccessLog().event(line)
    assert event.time == TIME
    assert event.consumer == Consumer("2001:db8::1")
    assert (event.client.referer, event.client.user_agent, event.response.content_length) == (None, None, None)
    assert event.url is None


@pytest.mark.parametrize(
    ("written", "agent"),
    [
        (r"say \"hi\"", 'say "hi"'),
        (r"caf\xC3\xA9", "café"),
        (r"back\\slash", "back\\slash"),
        (r"\x22\x5C", '"\\'),
        (r"raw \xFF", r"raw \xFF"),
        (r"null \x00", r"null \x00"),
    ],
)
def test_escapes_are_undone_where_the_result_is_text(written: str, agent: str) -> None:
    line = COMBINED.replace("curl/8.0", written)
    assert AccessLog().event(line).client.user_agent == agent


@pytest.mark.parametrize(
    ("request_line", "method", "path", "route"),
    [
        ("POST /a b HTTP/2.0", "POST", "/a b", "/{id}"),
        ("GET /old", "GET", "/old", "/old"),
        ("GET http://example.org/x?y=1 HTTP/1.1", "GET", "/x", "/x"),
        ("GET http://example.org HTTP/1.1", "GET", "/", "/"),
        ("OPTIONS * HTTP/1.1", "OPTIONS", "*", "/*"),
        ("CONNECT example.org:443 HTTP/1.1", "CONNECT", "example.org:443", "/example.org:{id}"),
        ("-", "-", "-", UNREADABLE),
        ("", "-", "-", UNREADABLE),
        (r"\x16\x03\x01", "-", r"\x16\x03\x01", UNREADABLE),
        ("FETCH /x HTTP/1.1", "-", "FETCH /x HTTP/1.1", UNREADABLE),
    ],
)
def test_every_answered_request_counts_even_unreadable(request_line: str, method: str, path: str, route: str) -> None:
    event = AccessLog().event(with_request(request_line))
    assert (event.method, event.path, event.route, event.status_code) == (method, path, route, 400)


@pytest.mark.parametrize(
    ("time", "good"),
    [
        ("01/Jan/1970:00:00:00 +0000", True),
        ("31/Dec/1969:23:59:59 +0000", False),
        ("01/Jan/1970:00:00:00 +0100", False),
        ("31/Dec/9998:23:59:59 +0000", True),
        ("01/Jan/9999:00:00:00 +0000", False),
        ("31/Dec/9999:23:59:59 -0100", False),
    ],
)
def test_a_time_is_one_of_1970_to_9998(time: str, *, good: bool) -> None:
    line = COMBINED.replace("17/May/2015:10:05:03 +0000", time)
    if good:
        assert AccessLog().event(line).time.year in {1970, 9998}
        return
    with pytest.raises(ValueError, match="not a time from 1970 to 9998"):
        AccessLog().event(line)


def test_a_size_beyond_any_answer_is_left_out() -> None:
    common = COMBINED.partition('" ')[0]
    assert AccessLog("common").event(f'{common}" 200 {2**40}').response.content_length == 2**40
    assert AccessLog("common").event(f'{common}" 200 {2**40 + 1}').response.content_length is None


def test_secrets_stay_out() -> None:
    line = with_request("GET /a?access_token=s3cret&x=1 HTTP/1.1").replace(
        '"-" "-"', '"https://u:s3cret@h/?key=1&password=s3cret" "-"'
    )
    event = AccessLog().event(line)
    assert event.url == "/a?access_token=[REDACTED]&x=1"
    assert b"s3cret" not in encode_batch([event])


@pytest.mark.parametrize(
    ("consumer", "key"),
    [
        ("ip", "10.0.0.7"),
        ("user", "bob"),
        (r"page=(\d)", "2"),
        (r"absent=(\d)", None),
        (r"curl()", None),
    ],
)
def test_the_consumer_is_what_was_asked_for(consumer: str, key: str | None) -> None:
    assert AccessLog(consumer=consumer).event(COMBINED).consumer == (Consumer(key) if key else None)


def test_a_consumer_that_is_a_secret_becomes_a_fingerprint() -> None:
    line = with_request("GET /a?api_key=s3cret HTTP/1.1")
    key = f"key_{hashlib.sha256(b's3cret').hexdigest()[:32]}"
    assert AccessLog(consumer=r"api_key=([^& ]+)").event(line).consumer == Consumer(key)


def test_nobody_is_a_consumer_when_the_field_is_a_dash() -> None:
    assert AccessLog(consumer="user").event(with_request("GET / HTTP/1.1")).consumer is None


@pytest.mark.parametrize(
    "line",
    [
        '{"time": "2015-05-17T12:05:03+02:00", "method": "get", "path": "/a", "status": 200}',
        '{"timestamp": "2015-05-17T10:05:03Z", "request_method": "GET", "uri": "/a", "status_code": "200"}',
        '{"time_iso8601": "2015-05-17T10:05:03", "request": "GET /a HTTP/1.1", "status": "200"}',
        '{"time_local": "17/May/2015:10:05:03 +0000", "request": "GET /a HTTP/1.1", "status": "200"}',
        '{"ts": 1431857103.0, "status": 200, "request": {"method": "GET", "uri": "/a"}}',
        '{"ts": "1431857103000", "status": 200, "method": "GET", "url": "/a"}',
        '{"StartUTC": "2015-05-17T10:05:03.0Z", "DownstreamStatus": 200, "RequestMethod": "GET", "RequestPath": "/a"}',
    ],
)
def test_json_lines_of_the_usual_servers(line: str) -> None:
    event = AccessLog().event(line)
    assert (event.time, event.method, event.path, event.status_code) == (TIME, "GET", "/a", 200)


def test_the_durations_of_traefik_are_nanoseconds() -> None:
    line = '{"time": 1, "status": 200, "RequestMethod": "GET", "RequestPath": "/a", "Duration": 250000000}'
    assert AccessLog().event(line).request.elapsed_time == 0.25


def test_the_details_of_a_json_line() -> None:
    line = (
        '{"ts": 1431857103, "status": 200, "size": 7, "duration": 0.5, "user_id": "", "request": {"method": "GET",'
        ' "uri": "/a?token=x", "client_ip": "10.0.0.7", "headers": {"User-Agent": ["curl"], "Referer": "odd"}}}'
    )
    event = AccessLog("json").event(line)
    assert event.request.elapsed_time == 0.5
    assert event.response.content_length == 7
    assert event.client.remote_address == "10.0.0.7"
    assert event.client.user_agent == "curl"
    assert event.url == "/a?token=[REDACTED]"


def test_a_pattern_of_ones_own() -> None:
    pattern = r"(?P<time>\S+)\t(?P<method>\S+)\t(?P<path>\S+)\t(?P<status>\d+)(?:\t(?P<elapsed>\S+))?"
    log = AccessLog(pattern=pattern)
    event = log.event("1431857103\tPUT\t/a\\x41\t204\t0.25")
    assert (event.time, event.method, event.path, event.status_code) == (TIME, "PUT", "/aA", 204)
    assert event.request.elapsed_time == 0.25
    with pytest.raises(ValueError, match="does not match"):
        log.event("something else")
    whole = AccessLog(pattern=r"(?P<request>.*) -> (?P<status>\d+) at (?P<time>.*)")
    assert whole.event("GET /a HTTP/1.1 -> 200 at 2015-05-17T10:05:03Z").path == "/a"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"log_format": "xml"}, "not known"),
        ({"pattern": "("}, "no.* regular expression"),
        ({"pattern": r"(?P<time>.)(?P<status>.)"}, "no group named method, path"),
        ({"pattern": r"(?P<time>.)(?P<status>.)(?P<request>.)(?P<colour>.)"}, "colour is not known"),
        ({"consumer": "("}, "no regular expression"),
        ({"consumer": "x"}, "no group"),
    ],
)
def test_options_that_cannot_be_used_are_refused_at_once(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        AccessLog(**options)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "empty"),
        ("garbage", "none of"),
        (COMBINED.replace("May", "Mai"), "not a time"),
        (COMBINED.replace("17/May", "37/May"), "not a time"),
        (COMBINED.replace('" 200 ', '" 000 '), "not a status"),
        ('{"status": 200, "method": "GET", "path": "/"}', "none of"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        AccessLog().event(line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ('{"status": 200, "method": "GET", "path": "/"}', "no time"),
        ('{"time": 1, "method": "GET", "path": "/"}', "no status"),
        ('{"time": 1, "status": 200, "path": "/"}', "no request"),
        ('{"time": 1e300, "status": 200, "method": "GET", "path": "/"}', "not a time"),
        ('{"time": -1, "status": 200, "method": "GET", "path": "/"}', "not a time"),
    ],
)
def test_a_json_line_that_cannot_be_read_says_why(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        AccessLog("json").event(line)


def test_the_first_readable_line_decides_the_format_so_a_cut_line_is_seen() -> None:
    log = AccessLog()
    log.event(COMBINED)
    with pytest.raises(ValueError, match="user agent"):
        log.event(COMMON)
    with pytest.raises(ValueError, match="user agent"):
        log.event(COMBINED[:-1])
    assert AccessLog().event(COMMON).status_code == 200
    with pytest.raises(ValueError, match="status size"):
        AccessLog("common").event(COMBINED)


QUOTED = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"\\'), max_size=40)


@given(QUOTED, QUOTED, QUOTED, st.integers(100, 999), st.integers(0, 2**60))
def test_whatever_clients_send_the_event_keeps_the_contract(
    request_line: str, referer: str, agent: str, status: int, size: int
) -> None:
    line = f'::1 - - [17/May/2015:10:05:03 +0000] "{request_line}" {status} {size} "{referer}" "{agent}"'
    event = AccessLog("combined").event(line)
    assert event.status_code == status
    batch = decode_batch(encode_batch([event]), source="other")
    assert not batch.errors
    assert batch.events == [event]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "noise", ["a", "=", "a=", '"', "\\", "\\x41", "[", " ", "a:1 ", "/", "//@", "A1", "%41", ";", "(?"]
)
def test_no_line_takes_long(noise: str) -> None:
    log = AccessLog(consumer=r"key=(\w+)")
    text = (noise * 60_000)[:60_000]
    for line in (text, with_request(f"GET /{text} HTTP/1.1"), COMMON + f' "{text}" "{text}"', COMBINED + text):
        with contextlib.suppress(ValueError):
            log.event(line)


def test_a_duration_that_is_no_number_is_absent() -> None:
    pattern = r"(?P<time>\S+) (?P<request>.*) (?P<status>\d+) (?P<elapsed>\S+)"
    event = AccessLog(pattern=pattern).event("1 GET / 200 12ms")
    assert event.request.elapsed_time is None


def test_endless_fields_are_cut_to_the_contract() -> None:
    long = "x" * 20_000
    line = f'{"a" * 300} - - [17/May/2015:10:05:03 +0000] "GET /{long}?{long} HTTP/1.1" 200 1 "{long}" "{long}"'
    batch = decode_batch(encode_batch([AccessLog().event(line)]), source="other")
    assert not batch.errors
