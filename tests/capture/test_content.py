from __future__ import annotations

import codecs
import gzip
import json
import time
import zlib
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.growth import grows_linearly
from tollkeeper.capture.content import KEPT, Content, is_kept, read_content
from tollkeeper.capture.json_prefix import MAX_DEPTH
from tollkeeper.capture.json_value import read_utf8
from tollkeeper.capture.redact import Redactor

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
LIMIT = 16 * 2**10

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


def read(
    data: bytes, content_type: str = JSON, encoding: str = "", *, truncated: bool = False, limit: int = LIMIT
) -> Content | None:
    content = read_content(data, content_type, encoding, truncated=truncated, limit=limit)
    if content is not None:
        msgspec.json.encode(content.value)
    return content


def value(data: bytes, content_type: str = JSON, encoding: str = "", *, truncated: bool = False) -> Any:
    content = read(data, content_type, encoding, truncated=truncated)
    return None if content is None else content.value


@pytest.mark.parametrize(
    ("content_type", "kept"),
    [
        ("application/json", True),
        ("Application/JSON ; charset=utf-8", True),
        ("application/problem+json", True),
        ("application/jsonp", False),
        ("application/x-www-form-urlencoded", True),
        ("multipart/form-data; boundary=x", True),
        ("multipart/mixed", False),
        ("text/html", True),
        ("TEXT/csv", True),
        ("text", False),
        ("application/octet-stream", False),
        ("image/png", False),
        ("", False),
        (";", False),
        ("\ud800", False),
        ("x" * 100_000, False),
    ],
)
def test_the_types_that_are_kept(content_type: str, kept: bool) -> None:  # noqa: FBT001 - a row of the table
    assert is_kept(content_type, KEPT) is kept


def test_the_owner_chooses_the_types() -> None:
    assert is_kept("image/svg+xml", ("+XML",))
    assert is_kept("image/png", ("image/*",))
    assert is_kept("image/png", ("Image/",))
    assert not is_kept("image/png", ("image",))
    assert not is_kept("application/json", ())


@given(documents)
def test_json_is_decoded(document: Any) -> None:
    assert read(json.dumps(document).encode()) == Content("json", document, truncated=False)


@given(documents, st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=2)), max_size=2))
def test_json_is_read_the_same_with_and_without_a_text_in_between(
    document: Any, damage: list[tuple[int, bytes]]
) -> None:
    data = json.dumps(document, ensure_ascii=False).encode()
    for at, put in damage:
        data = data[:at] + put + data[at + 1 :]
    for charset in ("", "; charset=utf-8", "; charset=latin-1", "; charset=utf-16"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tollkeeper.capture.content.read_utf8", lambda _: None)
            expected = read(data, JSON + charset)
        assert read(data, JSON + charset) == expected


def test_json_that_is_nested_too_deep_is_not_read_at_once() -> None:
    assert read_utf8(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    assert read_utf8(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)) is None
    assert read_utf8(b"null") == (None, True)


@given(documents, st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]))
def test_json_in_any_unicode_is_decoded_whatever_the_header_says(document: Any, charset: str) -> None:
    data = json.dumps([document], ensure_ascii=False).encode(charset)
    assert value(data) == [document]
    assert value(data, f"{JSON}; charset=latin-1") == [document]


def test_json_in_another_charset() -> None:
    data = '{"é": "ü"}'.encode("latin-1")
    assert value(data, 'application/json; charset="ISO-8859-1"') == {"é": "ü"}
    assert value('{"é": "ü"}'.encode(), f"{JSON}; charset=latin-1") == {"é": "ü"}
    assert value(data) == {"\ufffd": "\ufffd"}
    assert value(b'{"a": "\xc3', truncated=True) == {}


@given(st.dictionaries(st.text(), documents), st.data())
def test_cut_json_is_read_as_far_as_it_goes(document: dict[str, Any], data: Any) -> None:
    text = json.dumps(document, ensure_ascii=False).encode()
    cut = text[: data.draw(st.integers(1, len(text)))]
    content = read(cut, truncated=True)
    assert content is not None
    assert content.kind == "json"
    assert content.truncated
    shown = content.value
    assert list(shown) == list(document)[: len(shown)]
    assert all(shown[name] == document[name] for name in list(shown)[:-1])


def test_a_cut_secret_still_has_its_name() -> None:
    text = b'{"user": {"password": {"old": "hunter2", "new": "hunter3", "x": "'
    for end in range(1, len(text) + 1):
        for content_type in (JSON, "text/plain", FORM):
            content = read(text[:end], content_type, truncated=True)
            shown = "" if content is None else str(content.hidden_by(Redactor(), "body"))
            assert "hunter" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a": NaN, "b": -Infinity}', {"a": "NaN", "b": "-Infinity"}),
        ("[1e400, -1e400, 1e-400]", ["1e400", "-1e400", 0.0]),
        (f"[{'1' * 400}]", [int("1" * 400)]),
        (f"[{'1' * 5000}, 1.5]", ["1" * 5000, 1.5]),
        (r'{"\ud800": "x\udc00y", "\ud83d\ude00": "\\ud800"}', {"\ufffd": "x\ufffdy", "😀": "\\ud800"}),
        ('{"password": "a\nb\0"}', {"password": "a\nb\0"}),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_json_that_lenient_parsers_take(text: str, shown: Any) -> None:
    assert read(text.encode()) == Content("json", shown, truncated=False)


@pytest.mark.parametrize("text", ["{'a': 1}", '{"a": 1,}', "not json", '{"a": 1} {', "[1}", "<html>", '{"a":1}\n,'])
def test_what_is_not_json_is_a_text(text: str) -> None:
    assert read(text.encode()) == Content("text", text, truncated=False)
    assert read(text.encode() + b"\xff") is None


@pytest.mark.parametrize("text", [b"", b"not json", b'"half', b"12", b"{'a': 1, ", b"[1}", b'{"a": nope, "b": "'])
def test_what_is_not_json_and_cut_is_nothing(text: bytes) -> None:
    assert read(text, truncated=True) is None


def test_deep_json_is_cut() -> None:
    whole = read(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert whole is not None
    assert not whole.truncated
    for text in (b"[" * 16_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 3000 + b"1" + b"}" * 3000):
        content = read(text, limit=10**6, truncated=text[-1:] == b"[")
        assert content is not None
        assert content.kind == "json"
        assert content.truncated


def test_many_containers_are_not_deep() -> None:
    many = [{"a": [1, 2]}] * 500
    assert read(json.dumps(many).encode()) == Content("json", many, truncated=False)


def test_one_value_on_each_line() -> None:
    text = b'{"a": 1}\r\n\n{"b": [2]}\n'
    listed = [{"a": 1}, {"b": [2]}]
    for content_type in ("application/x-ndjson", "application/jsonl; charset=utf-8", JSON, "text/plain"):
        assert read(text, content_type) == Content("json", listed, truncated=False)
    assert value(b'{"a": 1}', "application/x-ndjson") == [{"a": 1}]
    cut = read(text + b'{"c": 3, "d', JSON, truncated=True)
    assert cut == Content("json", [*listed, {"c": 3}], truncated=True)
    assert read(b'{"a": 1}\nnope', "application/x-ndjson") == Content("text", '{"a": 1}\nnope', truncated=False)


def test_json_in_disguise_is_json() -> None:
    text = b' {"password": "hunter2"}'
    for content_type in ("text/plain", "text/plain;charset=UTF-8", FORM):
        content = read(text, content_type)
        assert content is not None
        assert "hunter2" not in str(content.hidden_by(Redactor(), "body"))
    for text in (b"[INFO] started", b"{}", b"{ not json", b"[1, 2]"):
        assert read(text, "text/plain") == Content("text", text.decode(), truncated=False)


@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=1))
def test_forms_are_kept_as_they_were_sent(pairs: dict[str, str]) -> None:
    text = urlencode(pairs)
    assert read(text.encode(), FORM) == Content("form", text, truncated=False)


def test_a_cut_form_ends_with_a_whole_pair() -> None:
    assert read(b"a=1&b=2&password=hunt", FORM, truncated=True) == Content("form", "a=1&b=2", truncated=True)
    assert read(b"password=hunt", FORM, truncated=True) is None


def test_a_form_in_another_charset() -> None:
    text = quote_plus("é=ü&", safe="=", encoding="latin-1") + "&b=%20"
    content = read(text.encode(), f"{FORM}; charset=iso-8859-1")
    assert content is not None
    assert content.hidden_by(Redactor(), "body") == {"é": "ü&", "b": " "}
    assert value("é=ü".encode("latin-1"), f"{FORM}; charset=latin-1") == "é=ü"


def test_a_form_without_pairs_is_a_text() -> None:
    assert read(b"just words", FORM) == Content("text", "just words", truncated=False)


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/plain", "utf-8"),
        ("text/plain; charset=UTF-8", "utf-8"),
        ("text/plain; format=flowed; Charset = 'latin-1'", "latin-1"),
        ('text/html;charset="windows-1252"', "cp1252"),
        ("text/plain; charset=utf-16", "utf-16"),
        ("text/plain; charset=utf-16be", "utf-16-be"),
        ("text/plain; charset=shift_jis", "utf-8-sig"),
        ("application/xml; charset=ascii", "utf-16"),
    ],
)
def test_texts_by_their_charset(content_type: str, charset: str) -> None:
    text = "Grüße\n"
    assert read(text.encode(charset), content_type) == Content("text", text, truncated=False)


def test_odd_bytes_and_control_characters_of_a_text() -> None:
    assert value(b"caf\xff\x01\x1b\r\n", "text/plain") == "caf\ufffd\x01\x1b\r\n"
    assert value("日本語".encode()[:-1], "text/plain", truncated=True) == "日本"
    assert value("日本語".encode()[:-1], "text/plain") == "日本\ufffd"
    assert value("日本".encode("utf-16")[:-1], "text/plain", truncated=True) == "日"
    assert value("日本".encode("utf-32-le"), "text/plain; charset=utf-32") == "日本"
    assert value("日本".encode("utf-16-le"), "text/plain; charset=utf-16") == "日本"
    assert value("日本".encode("shift_jis")[:-1], "text/plain; charset=shift-jis", truncated=True) == "日"


@pytest.mark.parametrize(
    "charset",
    ["utf-7", "unicode_escape", "punycode", "idna", "zlib", "rot13", "undefined", "iso-8859-12", "../x", "\0"],
)
def test_charsets_that_are_not_read(charset: str) -> None:
    assert read(b"some+AHM-thing", f"text/plain; charset={charset}") is None
    assert read(b"a=b", f"{FORM}; charset={charset}") is None
    assert value(b'{"a": 1}', f"{JSON}; charset={charset}") == {"a": 1}


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), (" X-GZIP ", gzip.compress), ("deflate", zlib.compress), ("Deflate", raw_deflate)],
)
def test_packed_bodies_are_unpacked(encoding: str, pack: Any) -> None:
    text = json.dumps([{"id": number, "name": f"user {number}"} for number in range(100)]).encode()
    packed = pack(text)
    assert read(packed, JSON, encoding) == Content("json", json.loads(text), truncated=False)
    assert read(packed, JSON, encoding, limit=len(text)) == Content("json", json.loads(text), truncated=False)
    for beginning in (
        read(packed, JSON, encoding, limit=len(text) - 1),
        read(packed, JSON, encoding, limit=100),
        read(packed[: len(packed) // 2], JSON, encoding, truncated=True),
    ):
        assert beginning is not None
        assert beginning.truncated
        assert beginning.value[0] == {"id": 0, "name": "user 0"}


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip,br", "compress", "deflate", "gzip"])
def test_what_cannot_be_unpacked_is_nothing(encoding: str) -> None:
    assert read(b'{"a": 1}', JSON, encoding) is None


def test_what_follows_the_packed_body_is_left_out() -> None:
    assert read(gzip.compress(b"first") + gzip.compress(b"second"), "text/plain", "gzip") == Content(
        "text", "first", truncated=True
    )


def test_a_bomb_costs_no_more_than_the_limit() -> None:
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    began = time.thread_time()
    content = read(bomb, JSON, "gzip")
    cost = time.thread_time() - began
    assert content == Content("json", [], truncated=True)
    began = time.thread_time()
    assert len(gzip.decompress(bomb)) == 50_000_002
    assert cost < time.thread_time() - began


def test_an_encoding_that_changes_nothing() -> None:
    assert value(b"[1]", JSON, "identity") == [1]
    assert read(b"a" * 20, "text/plain", limit=10) == Content("text", "a" * 10, truncated=True)


@pytest.mark.parametrize(
    "content_type", ["image/png", "multipart/form-data; boundary=x", "application/octet-stream", ""]
)
def test_other_types_are_not_read(content_type: str) -> None:
    assert read(b"x", content_type) is None


def test_an_empty_body_is_nothing() -> None:
    for content_type in (JSON, FORM, "text/plain"):
        assert read(b"", content_type) is None
        assert read(codecs.BOM_UTF8, content_type) is None


types = st.sampled_from([JSON, FORM, "text/plain", "application/x-ndjson", "application/xml"])
charsets = (
    st.sampled_from(["", "; charset=latin-1", "; charset=utf-16", "; charset=big5", "; charset=utf-32le"]) | st.text()
)
encodings = st.sampled_from(["", "", "gzip", "deflate"]) | st.text(max_size=5)
tokens = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"a"',
    b":",
    b",",
    b"1",
    b"\n",
    b"\\ud800",
    b'"',
    b"NaN",
    b"\0",
    b"\xff",
    b"\xfe",
    b"&=%",
]
bodies = st.binary() | st.lists(st.sampled_from(tokens)).map(b"".join)


@given(bodies, st.builds("{}{}".format, types, charsets), encodings, st.booleans(), st.integers(0, 50))
def test_arbitrary_bodies_never_raise_and_can_be_written(
    data: bytes,
    content_type: str,
    encoding: str,
    truncated: bool,  # noqa: FBT001 - drawn
    limit: int,
) -> None:
    for body in (data, zlib.compress(data)):
        content = read(body, content_type, encoding, truncated=truncated, limit=limit)
        if content is not None:
            msgspec.json.encode(content.hidden_by(Redactor(), "body"))


@pytest.mark.parametrize(
    "unit", [b"[", b'{"a":', b'{"a":1}\n', b"1", b'"', b"\\ud800", b"NaN,", b"a=b&", b"\xff", b"[1],"]
)
@pytest.mark.parametrize("content_type", [JSON, FORM, "text/plain"])
@pytest.mark.parametrize("truncated", [True, False])
def test_time_is_linear_in_the_length(unit: bytes, content_type: str, truncated: bool) -> None:  # noqa: FBT001 - a row
    def one(length: int) -> None:
        read(b"[" + unit * (length // len(unit)), content_type, truncated=truncated, limit=10**6)

    assert grows_linearly(one, 300_000)
