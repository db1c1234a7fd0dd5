from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from tollkeeper.capture.body import BodyStart, RequestTee, tee_request

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = b"line one\nline two\nend"


def readinto(tee: Any) -> object:
    buffer = bytearray(6)
    while tee.readinto(buffer):
        pass
    return None


READERS: dict[str, Callable[[RequestTee], object]] = {
    "read": lambda tee: tee.read(),
    "read(None)": lambda tee: tee.read(None),
    "read(-1)": lambda tee: tee.read(-1),
    "read(n)": lambda tee: list(iter(lambda: tee.read(4), b"")),
    "readline": lambda tee: list(iter(tee.readline, b"")),
    "readlines": lambda tee: tee.readlines(),
    "iter": list,
    "readinto": readinto,
}


def tee(limit: int = 100) -> tuple[RequestTee, BodyStart]:
    start = BodyStart(limit)
    return tee_request(io.BytesIO(DATA), start, fail), start


def fail(error: Exception) -> None:
    raise AssertionError from error


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("limit", [0, 5, 100])
def test_whatever_way_the_app_reads_the_body_is_counted_and_its_start_kept(reader: str, limit: int) -> None:
    stream, start = tee(limit)
    READERS[reader](stream)
    assert stream.seen == len(DATA)
    assert start.kept() == DATA[:limit]


def test_reads_give_what_the_stream_gives() -> None:
    stream, start = tee(4)
    assert stream.read(0) == b""
    assert stream.readline() == b"line one\n"
    assert stream.read(4) == b"line"
    assert stream.readlines() == [b" two\n", b"end"]
    assert stream.tell() == len(DATA)
    assert start.kept() == b"line"


def test_an_eater_that_fails_is_told_once_and_the_app_gets_its_body() -> None:
    class Broken:
        def feed(self, data: bytes) -> None:
            raise ValueError(data)

    errors: list[Exception] = []
    stream = tee_request(io.BytesIO(DATA), Broken(), errors.append)
    assert stream.read(4) + stream.read() == DATA
    assert [str(error) for error in errors] == ["b'line'"]
    assert stream.seen == len(DATA)


def test_a_stream_may_be_counted_only() -> None:
    stream = tee_request(io.BytesIO(DATA), None, fail)
    assert stream.read() == DATA
    assert stream.seen == len(DATA)


def test_what_the_stream_lacks_the_tee_lacks() -> None:
    class Bare:
        def read(self, _size: int = -1) -> bytes:
            return b""

    assert not hasattr(tee_request(Bare(), None, fail), "readinto")
