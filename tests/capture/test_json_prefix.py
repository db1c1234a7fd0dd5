from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.growth import grows_linearly
from tollkeeper.capture.json_prefix import MAX_DEPTH, close_json

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)
spellings = st.fixed_dictionaries({"indent": st.sampled_from([None, 2]), "ensure_ascii": st.booleans()})


def is_prefix(part: Any, whole: Any) -> bool:
    """Members in order, all but the last equal; the last may be the beginning of a container."""
    if isinstance(part, dict) and isinstance(whole, dict):
        if list(part) != list(whole)[: len(part)]:
            return False
        part, whole = list(part.values()), list(whole.values())
    elif not (isinstance(part, list) and isinstance(whole, list)):
        return json.dumps(part) == json.dumps(whole)
    if len(part) > len(whole):
        return False
    pairs = list(zip(part, whole, strict=False))
    return all(json.dumps(one) == json.dumps(other) for one, other in pairs[:-1]) and all(
        is_prefix(one, other) for one, other in pairs[-1:]
    )


@given(documents, spellings, st.data())
def test_a_cut_document_closes_to_a_prefix_of_its_value(document: Any, spelling: dict[str, Any], data: Any) -> None:
    text = json.dumps(document, **spelling).encode("utf-8", "surrogatepass")
    cut = data.draw(st.integers(0, len(text)))
    closed = close_json(text[:cut])
    if closed is None:
        assert not isinstance(document, dict | list) or not cut
        return
    value = json.loads(closed)
    assert is_prefix(value, document)
    more = close_json(text[: cut + 1])
    assert more is not None
    assert is_prefix(value, json.loads(more))


@given(st.lists(documents) | st.dictionaries(st.text(), documents), spellings)
def test_a_whole_document_stays_as_it_is(document: Any, spelling: dict[str, Any]) -> None:
    text = json.dumps(document, **spelling).encode("utf-8", "surrogatepass")
    assert close_json(text) is text


@pytest.mark.parametrize(
    ("cut", "closed"),
    [
        (b'{"a": 1, "b": {"c": [1, 2, 3', b'{"a": 1, "b": {"c": [1, 2]}}'),
        (b'{"a": 1, "b": {"c": "x"}', b'{"a": 1, "b": {"c": "x"}}'),
        (b'{"a": 1, "b": {"c": "x"}, ', b'{"a": 1, "b": {"c": "x"}}'),
        (b'{"a": "x,y{", "b": "z', b'{"a": "x,y{"}'),
        (b'{"a": "x", "password": "hunter2', b'{"a": "x"}'),
        (b'{"a": "x", "password": "hunter2"', b'{"a": "x", "password": "hunter2"}'),
        (b'{"a": "x", "password"', b'{"a": "x"}'),
        (b'{"a": "x", "password": ', b'{"a": "x"}'),
        (b'{"a": "\\"}, ', b"{}"),
        (b'{"a": "\\\\"', b'{"a": "\\\\"}'),
        (b'{"a": "\\', b"{}"),
        (b"[1, 23", b"[1]"),
        (b"[1, 23 ", b"[1, 23 ]"),
        (b"[1, -2.5e3\n", b"[1, -2.5e3\n]"),
        (b"[true, false, null", b"[true, false, null]"),
        (b"[true, fals", b"[true]"),
        (b'["a,", "b', b'["a,"]'),
        (b'[{"a": 1}, {"b', b'[{"a": 1}, {}]'),
        (b"[", b"[]"),
        (b" {", b" {}"),
    ],
)
def test_what_remains_of_a_cut_text(cut: bytes, closed: bytes) -> None:
    assert close_json(cut) == closed


@pytest.mark.parametrize("text", [b"", b" ", b'"half', b"12", b"tru", b'{"a": 1]', b"[}", b"]", b"half a sentence"])
def test_nothing_can_be_read(text: bytes) -> None:
    assert close_json(text) is None


@pytest.mark.parametrize("text", [b'"all"', b" true\n", b"null", b"12 ", b'{"a": 1} ', b'[1], "more"'])
def test_a_text_that_is_not_cut_is_left_to_the_decoder(text: bytes) -> None:
    assert close_json(text) is text


def test_what_is_too_deep_is_cut_off() -> None:
    whole = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert close_json(whole) is whole
    deeper = b'{"a": 1, "b": ' * 1000 + b"2" + b"}" * 1000
    assert close_json(deeper) == b'{"a": 1, "b": ' * (MAX_DEPTH - 1) + b'{"a": 1' + b"}" * MAX_DEPTH


@given(st.lists(st.sampled_from([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"a", b"1", b" ", b"true", b"\xff"])))
def test_garbage_never_raises(pieces: list[bytes]) -> None:
    close_json(b"".join(pieces))


@pytest.mark.parametrize(
    "unit",
    [b'"', b'["a",', b'"a" ', b"[", b"[],", b'{"a":', b"\\", b'"\\"', b'"",', b",", b" ", b"1", b'"a":{"b', b"a"],
)
@pytest.mark.parametrize("start", [b"", b"[", b'["', b'{"a": '])
def test_time_is_linear_in_the_length(start: bytes, unit: bytes) -> None:
    assert grows_linearly(lambda length: close_json(start + unit * (length // len(unit))), 300_000)
