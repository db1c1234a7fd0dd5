"""From a JSON text to its value: also from one that was cut, from one per line, and from what lenient parsers take."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from tollkeeper.capture.json_prefix import MAX_DEPTH, close_json

__all__ = ["read_json", "read_utf8"]

SURROGATES = re.compile(
    r"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(\\u[dD][89a-fA-F][\da-fA-F]{2})|\\.", re.DOTALL
)

_decode = msgspec.json.Decoder().decode


def read_json(text: str, *, cut: bool, lines: bool) -> tuple[Any, bool] | None:
    """Return the value and whether all of the text is in it; None when the text is not JSON.

    ``cut`` says that the end of the text is missing, ``lines`` that each line is a value of its own: they make a list,
    as do the lines of a text that is no JSON otherwise. What is nested too deep is cut too.
    """
    found = None if lines else _read(text, cut=cut)
    return found or _read(_listed(text, cut=cut), cut=cut)


def read_utf8(data: bytes) -> tuple[Any, bool] | None:
    """Return what ``read_json`` does for most bodies, without making a text of them first; None for all others.

    Most are whole, strict JSON in UTF-8, and not too deep.
    """
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        return None
    try:
        return _decode(data), True
    except (ValueError, RecursionError):
        return None


def _read(text: str, *, cut: bool) -> tuple[Any, bool] | None:
    data = text.encode()
    shallow = data.count(b"{") + data.count(b"[") <= MAX_DEPTH
    closed = data if shallow and not cut else close_json(data)
    if not closed:
        return None
    try:
        return _value(closed), not cut and closed is data
    except (ValueError, RecursionError):
        return None


def _listed(text: str, *, cut: bool) -> str:
    """The values of a text that has one on each line, as one array; empty when it is not such a text."""
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    if not all(line[0] in "{[" for line in lines):
        return ""
    return f"[{','.join(lines)}{'' if cut else ']'}"


def _value(data: bytes) -> Any:
    try:
        return _decode(data)
    except ValueError:
        # What the app may well have taken or sent: NaN, numbers beyond a float, half of a surrogate pair.
        text = SURROGATES.sub(lambda match: r"\ufffd" if match[1] else match[0], data.decode())
        return json.loads(text, strict=False, parse_constant=str, parse_float=_float, parse_int=_int)


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _int(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return digits  # more digits than Python turns into a number
