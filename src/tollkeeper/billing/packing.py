"""Records of billing as bytes, small and exact: fractions keep both their numbers."""

from __future__ import annotations

import zlib
from fractions import Fraction
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

__all__ = ["pack", "unpack"]

S = TypeVar("S", bound=Struct)


def pack(record: Struct) -> bytes:
    """A record as compressed JSON; the same record always gives the same bytes."""
    plain = msgspec.to_builtins(record, str_keys=True, enc_hook=_plain)
    return zlib.compress(msgspec.json.encode(plain, order="deterministic"), 6)


def unpack(packed: bytes, kind: type[S]) -> S:
    """The record that ``pack`` was given."""
    return msgspec.json.decode(zlib.decompress(packed), type=kind, dec_hook=_exact)


def _plain(value: Any) -> str:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    raise NotImplementedError(f"{type(value).__name__} has no JSON.")


def _exact(kind: type, value: Any) -> Any:
    if kind is Fraction:
        return Fraction(value)
    raise NotImplementedError(f"{kind.__name__} has no JSON.")
