"""The readable part of a JSON text that was cut, or that is nested deeper than anybody reads."""

from __future__ import annotations

import re

__all__ = ["MAX_DEPTH", "close_json"]

MAX_DEPTH = 100
"""Containers within one another that are kept: decoders recurse, and so does whoever shows the document later."""

# Possessive throughout: nothing is ever tried twice, so that the time is linear whatever the text.
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
LITERAL = rb"(?:true|false|null|-?\d[\d.eE+-]*+(?=\s))"  # a number that nothing follows may be half of one
VALUE = rb"(?:%s|%s)\s*+" % (STRING, LITERAL)

TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:%s[^"{}\[\]]*+)*+' % STRING, re.DOTALL)
MEMBERS = re.compile(rb'(?:[^",]*+(?:%s[^",]*+)*+,)*+' % STRING, re.DOTALL)
ITEM = re.compile(rb"\s*+%s" % VALUE, re.DOTALL)
PAIR = re.compile(rb"\s*+%s\s*+:\s*+%s" % (STRING, VALUE), re.DOTALL)

CLOSING = {b"{": b"}", b"[": b"]"}


def close_json(data: bytes) -> bytes | None:
    """Cut UTF-8 JSON back to its last complete member and close what is open; ``data`` itself when it is whole.

    A string or a number of which the end is not there is not a member, nor is a container below ``MAX_DEPTH``. None
    when nothing is complete, or the brackets do not match. What is wrong within the members is the decoder's to find.
    """
    expected: list[bytes] = []
    kept = at = 0  # where the last bracket that counts ends, and where the search for the next one does
    while True:
        at = TO_BRACKET.match(data, kept).end()  # type: ignore[union-attr]  # it matches anywhere, if nothing
        bracket = data[at : at + 1]
        if bracket in CLOSING:
            if len(expected) == MAX_DEPTH:
                break
            expected.append(CLOSING[bracket])
        elif bracket not in b"]}" or not bracket:
            break
        elif not expected or expected.pop() != bracket:
            return None
        elif not expected:
            return data
        kept = at + 1
    if not expected:
        return data if ITEM.fullmatch(data) else None
    return data[: _last_member(data, kept, at, expected[-1])] + b"".join(reversed(expected))


def _last_member(data: bytes, start: int, end: int, closing: bytes) -> int:
    """Where the last complete member ends, of those between a bracket before ``start`` and whatever is at ``end``."""
    comma = MEMBERS.match(data, start, end).end()  # type: ignore[union-attr]  # it matches anywhere, if nothing
    last = (ITEM if closing == b"]" else PAIR).fullmatch(data, comma, end)
    return last.end() if last else max(start, comma - 1)
