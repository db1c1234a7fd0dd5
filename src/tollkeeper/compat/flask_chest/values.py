"""From whatever an app puts on ``g`` to what a column of text, or a field of InfluxDB, can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from tollkeeper.errors import SinkError

__all__ = ["to_field", "to_text", "writable"]

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1


def writable(text: str) -> str:
    """Spell out halves of surrogate pairs, which no database takes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def to_text(name: str, value: Any) -> str | None:
    """Write a value as text: lists, sets and mappings as JSON, booleans as 1 and 0, None stays.

    Raises:
        SinkError: it cannot be written as JSON, because it holds itself or has keys that JSON has not.
    """
    kind = type(value)
    if kind is int or kind is float:
        return str(value)
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if kind is not str and isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if kind is str or not isinstance(value, list | tuple | set | frozenset | Mapping):
        text = str(value)
    else:
        text = _to_json(name, value)
    return writable(text)


def to_field(name: str, value: Any) -> bool | int | float | str | None:
    """Keep booleans, numbers and None as they are where 64 bits hold them; write the rest as text.

    Raises:
        SinkError: as ``to_text``.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and MIN_INTEGER <= value <= MAX_INTEGER:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    return to_text(name, value)


def _to_json(name: str, value: Any) -> str:
    try:
        return msgspec.json.encode(dict(value) if isinstance(value, Mapping) else value, enc_hook=_plain).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise SinkError(
            f"The variable {name!r} cannot be written as JSON ({type(error).__name__}): make it plain lists and dicts.",
            retry=False,
        ) from None


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)
