from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from support.growth import grows_linearly
from tollkeeper.capture.multipart import MultipartSummary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BOUNDARY = b"XyZ"
TYPE = "multipart/form-data; boundary=XyZ"
# What a lenient parser may take for a delimiter.
LIKE_A_DELIMITER = re.compile(rb"[\r\n]--XyZ(--|\s)")

words = st.text(st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters='\\"'), max_size=20)
pieces = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"--", b"--XyZ", b"\r\n--XyZ", b"\r\n--Xy", b"a", b" ", b"\0\xff", b"-"]
)
contents = (st.lists(pieces, max_size=8).map(b"".join) | st.binary(max_size=1500)).filter(
    lambda data: not LIKE_A_DELIMITER.search(b"\r\n" + data + b"\r\n")
)
parts = st.fixed_dictionaries(
    {"name": words, "data": contents},
    optional={"filename": words, "content_type": st.sampled_from(["text/plain", "image/png", "application/x-a+b"])},
)
# Between the parts, by turns: quotes as browsers write them, and as the standard of headers does.
bodies = st.tuples(st.lists(parts, max_size=5), st.sampled_from([b"", b" ", b"\t "]), st.booleans())


def quoted(word: str, *, escaped: bool) -> str:
    return '"' + (f'q\\"\\\\{word}' if escaped else f"q%22{word}") + '"'


def encode(listed: Sequence[dict[str, Any]], padding: bytes = b"", *, escaped: bool = False) -> bytes:
    body = b""
    for part in listed:
        disposition = f"form-data; name={quoted(part['name'], escaped=escaped)}"
        if "filename" in part:
            disposition += f"; filename={quoted(part['filename'], escaped=escaped)}"
        body += b"--XyZ%b\r\ncontent-disposition: %b\r\n" % (padding, disposition.encode())
        if "content_type" in part:
            body += b"Content-Type:\r\n %b; x=y\r\n" % part["content_type"].encode()
        body += b"\r\n%b\r\n" % part["data"]
    return body + b"--XyZ--\r\n"


def summary(chunks: Iterable[bytes], content_type: str = TYPE) -> list[dict[str, object]]:
    made = MultipartSummary(content_type)
    for chunk in chunks:
        made.feed(chunk)
    return made.parts()


def cut(body: bytes, sizes: Sequence[int]) -> Iterable[bytes]:
    for size in sizes:
        yield body[:size]
        body = body[size:]
    yield body


def one(disposition: str, boundary: str = "XyZ") -> dict[str, object]:
    body = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\nhello\r\n--{boundary}--".encode()
    (part,) = summary([body], f'multipart/form-data; boundary="{boundary}"')
    return part


def by_werkzeug(body: bytes) -> list[dict[str, object]]:
    decoder = MultipartDecoder(BOUNDARY)
    decoder.receive_data(body)
    decoder.receive_data(None)
    told: list[dict[str, object]] = []
    size = 0
    while not isinstance(event := decoder.next_event(), Epilogue):
        if isinstance(event, Field | File):
            told.append({"name": event.name, "size": 0})
            size = 0
            if isinstance(event, File):
                told[-1]["filename"] = event.filename
            if "content-type" in event.headers:
                told[-1]["content_type"] = event.headers["content-type"].partition(";")[0]
        elif isinstance(event, Data):
            size += len(event.data)
            told[-1]["size"] = size
    return told


@given(bodies, st.lists(st.integers(0, 800), max_size=30))
def test_parts_are_what_the_parser_of_a_framework_finds(
    given_body: tuple[list[dict[str, Any]], bytes, bool], sizes: list[int]
) -> None:
    listed, padding, escaped = given_body
    body = encode(listed, padding, escaped=escaped)
    assert summary(cut(body, sizes)) == by_werkzeug(body)


@given(bodies)
def test_byte_by_byte(given_body: tuple[list[dict[str, Any]], bytes, bool]) -> None:
    listed, padding, escaped = given_body
    body = encode(listed, padding, escaped=escaped)
    told = summary(body[at : at + 1] for at in range(len(body)))
    assert told == by_werkzeug(body)
    assert [part["size"] for part in told] == [len(part["data"]) for part in listed]


garbage = st.sampled_from(
    [
        b"\r\n",
        b"--XyZ",
        b"\r\n--XyZ",
        b"--",
        b" ",
        b"\t" * 40,
        b"\r\n\r\n",
        b"\r",
        b"X: y",
        b'name="a',
        b"\xff\0",
        b"z" * 700,
    ]
)


@given(st.lists(garbage, max_size=25).map(b"".join), st.lists(st.integers(0, 600), max_size=20))
def test_garbage_never_raises_and_chunks_make_no_difference(body: bytes, sizes: list[int]) -> None:
    whole = summary([body])
    assert summary(cut(body, sizes)) == whole
    assert summary(body[at : at + 1] for at in range(len(body))) == whole


@given(st.binary(max_size=300), st.text(max_size=50))
def test_arbitrary_bytes_and_types_never_raise(body: bytes, boundary: str) -> None:
    summary([body, b"--x\r\n" + body, b"\r\n\r\n", body], f"multipart/form-data; boundary={boundary}")
    summary([body], boundary)


def test_fields_and_files_are_told_without_what_they_hold() -> None:
    body = (
        b"a preamble\r\n--XyZ\r\n"
        b'Content-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--XyZ\r\n'
        b'Content-Disposition: form-data; name="avatar"; filename="a.png"\r\nContent-Type: image/png; q=1\r\n\r\n'
        b"\x89PNG\r\n--XyZzy\r\n\r\n--XyZ--\r\nan epilogue\r\n--XyZ\r\n\r\n"
    )
    assert summary([body]) == [
        {"name": "password", "size": 7},
        {"name": "avatar", "filename": "a.png", "content_type": "image/png", "size": 15},
    ]


@pytest.mark.parametrize(
    ("disposition", "told"),
    [
        ("form-data; name=bare; filename=a.txt", {"name": "bare", "filename": "a.txt"}),
        ('form-data; NAME="x;y=z" ; filename=""', {"name": "x;y=z", "filename": ""}),
        (
            'form-data; name="x"; filename="a.txt"; filename*=UTF-8\'en\'%e2%82%ac.txt',
            {"name": "x", "filename": "€.txt"},
        ),
        ('form-data; name="x"; filename*=iso-8859-1\'\'%e9; filename="e"', {"name": "x", "filename": "é"}),
        ("form-data; name=\"x\"; filename*=utf-7''+AGE-", {"name": "x", "filename": "utf-7''+AGE-"}),
        ('form-data; name="C:\\dir\\file"', {"name": "C:\\dir\\file"}),
        ('form-data; name="never closed', {}),
        ("form-data", {}),
        (f'form-data; name="{"n" * 300}"', {"name": "n" * 255}),
        ('form-data;\r\n\tname="folded"', {"name": "folded"}),
    ],
)
def test_names(disposition: str, told: dict[str, str]) -> None:
    assert one(disposition) == {**told, "size": 5}


@pytest.mark.parametrize("boundary", ["a", "with space", "semi;colon", "-" * 70, "'()+_,-./:=?", "b" * 200])
def test_boundaries(boundary: str) -> None:
    assert one('form-data; name="x"', boundary) == {"name": "x", "size": 5}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "; boundary=\ud800",
        f"multipart/form-data; boundary={'b' * 201}",
    ],
)
def test_without_a_usable_boundary_there_are_no_parts(content_type: str) -> None:
    assert summary([b"--\r\n\r\n\r\n", b"\r\n----\r\n", b"--" + b"b" * 201 + b"\r\n\r\n"], content_type) == []


def test_the_part_that_the_body_ends_in_is_not_complete() -> None:
    body = encode([{"name": "a", "data": b"12345"}, {"name": "b", "data": b"67890"}])
    end = body.index(b"890")
    assert summary([body[:end]]) == [{"name": 'q"a', "size": 5}, {"name": 'q"b', "size": 2, "complete": False}]
    assert summary([body[: body.index(b"67890")]])[1:] == [{"name": 'q"b', "size": 0, "complete": False}]
    assert summary([body[: body.index(b"12345") + 10]])[1:] == []
    assert summary([body[: body.rindex(b"content")]])[1:] == [{"size": 0, "complete": False}]


def test_a_part_without_headers_and_one_without_a_body() -> None:
    body = b'--XyZ\r\n\r\nabc\r\n--XyZ\r\nContent-Disposition: form-data; name="x"\r\n\r\n--XyZ--'
    assert summary([body]) == [{"size": 3}, {"name": "x", "size": 0}]


def test_headers_without_an_end_are_data() -> None:
    body = b"--XyZ\r\n" + b"a" * 10_000 + b"\r\n\r\n--XyZ\r\n\r\nabc\r\n--XyZ--"
    (long, short) = summary([body])
    assert long == {"size": 10_004}
    assert short == {"size": 3}
    assert summary(cut(body, [900] * 12)) == [long, short]


def test_long_headers_across_chunks() -> None:
    body = b"--XyZ\r\nX-Filler: " + b"a" * 3000 + b'\r\nContent-Disposition: form-data; name="x"\r\n\r\nabc\r\n--XyZ--'
    for size in (1, 100, 511, 512, 513, 600, 1025, 2000):
        assert summary(body[at : at + size] for at in range(0, len(body), size)) == [{"name": "x", "size": 3}]


def test_a_hundred_parts_are_told_and_the_rest_is_counted() -> None:
    told = summary([encode([{"name": str(number), "data": b"x"} for number in range(150)])])
    assert [part.get("name") for part in told[:100]] == [f'q"{number}' for number in range(100)]
    assert told[100:] == [{"more": 50}]


@pytest.mark.parametrize(
    "unit", [b"\r\n--XyZ\r\n\r\n", b"\r\n--XyZ!", b"\r\n--XyZ", b"\r\n--Xy", b"\r\n", b"\r\n--XyZ" + b" " * 70]
)
@pytest.mark.parametrize("size", [64, 65536])
def test_hostile_bodies_cost_little(unit: bytes, size: int) -> None:
    def read(length: int) -> None:
        body = b"--XyZ\r\n\r\n" + unit * (length // len(unit))
        summary([body[at : at + size] for at in range(0, len(body), size)])

    assert grows_linearly(read, 2**20)


def test_little_is_held() -> None:
    made = MultipartSummary(TYPE)
    made.feed(b"--XyZ\r\n\r\n")
    for _ in range(100):
        made.feed(b"\r\n--Xy" * 10_000)
        assert len(made._held) < 512
