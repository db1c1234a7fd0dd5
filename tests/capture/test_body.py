from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from tollkeeper.capture.body import RequestTee, ResponseBody, SizedResponseBody, is_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = b"line one\nline two\nend"


def readinto(tee: Any) -> object:
    buffer = bytearray(6)
    while tee.readinto(buffer):
        pass
    return None


READERS: dict[str, Callable[[RequestTee], object]] = {
    "read": lambda tee: tee.read(),
    "read(None)": lambda tee: tee.read(None),
    "read(n)": lambda tee: list(iter(lambda: tee.read(4), b"")),
    "readline": lambda tee: list(iter(tee.readline, b"")),
    "readlines": lambda tee: tee.readlines(),
    "iter": list,
    "readinto": readinto,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("length", [None, len(DATA)])
def test_whatever_way_the_app_reads_the_body_is_seen(reader: str, length: int | None) -> None:
    tee = RequestTee(io.BytesIO(DATA), 100)
    READERS[reader](tee)
    assert tee.whole(length) == DATA


def test_reads_give_what_the_stream_gives() -> None:
    tee = RequestTee(io.BytesIO(DATA), 4)
    assert tee.read(0) == b""
    assert tee.readline() == b"line one\n"
    assert tee.read(4) == b"line"
    assert tee.readlines() == [b" two\n", b"end"]
    assert tee.tell() == len(DATA)


def test_a_body_that_is_too_large_or_was_not_read_to_its_end_is_not_kept() -> None:
    large = RequestTee(io.BytesIO(DATA), len(DATA) - 1)
    large.read()
    assert large.whole(len(DATA)) is None
    partial = RequestTee(io.BytesIO(DATA), 100)
    partial.read(5)
    assert partial.whole(len(DATA)) is None
    assert partial.whole(None) is None


def test_what_the_stream_lacks_the_tee_lacks() -> None:
    class Bare:
        def read(self, _size: int = -1) -> bytes:
            return b""

    assert not hasattr(RequestTee(Bare(), 1), "readinto")


class Watched:
    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.ends: list[BaseException | None] = []

    def over(self, error: BaseException | None) -> None:
        self.ends.append(error)


def test_a_stream_is_passed_on_chunk_by_chunk_and_closed() -> None:
    events: list[str] = []

    def stream() -> Iterator[bytes]:
        try:
            for number in range(3):
                events.append(f"made {number}")
                yield b"%d" % number
        finally:
            events.append("closed")

    watched = Watched()
    body = ResponseBody(stream(), watched.chunks.append, watched.over)
    assert next(body) == b"0"
    assert events == ["made 0"]
    body.close()
    assert events == ["made 0", "closed"]
    assert watched.chunks == [b"0"]
    assert watched.ends[0] is None


def test_errors_pass_and_are_seen() -> None:
    def stream() -> Iterator[bytes]:
        yield b"a"
        raise ValueError("mid-stream")

    class BadClose:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a"])

        def close(self) -> None:
            raise RuntimeError("close")

    watched = Watched()
    with pytest.raises(ValueError, match="mid-stream"):
        list(ResponseBody(stream(), watched.chunks.append, watched.over))
    assert isinstance(watched.ends[0], ValueError)
    other = Watched()
    with pytest.raises(RuntimeError, match="close"):
        ResponseBody(BadClose(), other.chunks.append, other.over).close()
    assert isinstance(other.ends[0], RuntimeError)


def test_length_and_forgotten_bodies() -> None:
    watched = Watched()
    body = SizedResponseBody([b"a", b"b"], watched.chunks.append, watched.over)
    assert len(body) == 2
    assert list(body) == list(body) == [b"a", b"b"]
    forgotten = Watched()
    unread = ResponseBody([b"a"], forgotten.chunks.append, forgotten.over)
    assert not hasattr(unread, "__len__")
    del unread
    assert forgotten.ends == [None]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=x", True),
        ("application/problem+json", True),
        ("text/json", False),
        ("application/jsonlines", False),
        ("", False),
    ],
)
def test_json_by_content_type(content_type: str, *, expected: bool) -> None:
    assert is_json(content_type) is expected
