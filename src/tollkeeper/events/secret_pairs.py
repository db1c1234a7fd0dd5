"""Secrets that show by the name before them: ``name=value``, ``"name": "value"`` and ``("name", "value")``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.events.secret_extents import value_span
from tollkeeper.events.secret_fields import CAN_BETRAY, CAN_HOLD, betrayed_by, field_role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tollkeeper.events.secret_extents import Reach

__all__ = ["find_items", "find_pairs"]

# A name is all that stands between two of these: no letter of any script, no escape and no "-._[]" parts it.
EDGES = r"=:&;,?#@\"'`(){}<>|/"
SIGN = re.compile(r"[=:][=>]?")
# Read from the sign to the left, so that only what stands before a sign is looked at.
BACKWARDS = re.compile(rf"\s*+(?:[\])]?[\"'`]([^\"'`\n]{{1,128}}+)[\"'`]|([\])]*+)([\"'`]?)([^\s{EDGES}]++))")
WORDS = re.compile(rf"(?<![^\s{EDGES}])(?:[^\s{EDGES}]++[ \t]++){{1,2}}+\Z")
ITEM = re.compile(r"[\[({,]\s*+[bBuU]?\\*+[\"']([^\"'\n]{1,128}+)[\"']\s*+,")
HELD = re.compile(r"\s*+\\*+(?:[\"']([^\"'\n]{2,256}+)|([^\s&,;<>{}\[\]\"'\\]{2,256}+))")
RAISED = re.compile(r"(?:Error|Exception|Exit|Warning)\Z")
WHOLE_LINE = re.compile(r"(?i)auth|cookie")
MARGIN = " \t>*#$+-"
LOOK_BACK = 64
MAX_OVERLAPS = 8


def find_pairs(text: str, sensitive: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Where values stand that follow a sensitive name and a sign, or that another field names as secret."""
    backwards, size = text[::-1], len(text)
    done = 0
    roles: list[tuple[int, int]] = []
    for sign in SIGN.finditer(text):
        before = BACKWARDS.match(backwards, size - sign.start())
        if before is None:
            continue
        quoted = before[1] is not None
        name = before[1 if quoted else 4][::-1]
        role = field_role(name)
        if role:
            roles.append((role, sign.end()))
        start = size - before.end()
        if start < done:
            continue
        if not sensitive(name):
            start = -1 if quoted else _start_of_words(text, start, name, sign, sensitive)
        if start < 0 or (sign[0] == ":" and not quoted and _is_no_name(text, start, name)):
            continue
        closed = quoted or bool(before[3])
        limit = size if closed else _end_of_quotes(text, start, sign.end())
        first, done = value_span(text, sign.end(), _reach(text, start, name, sign), literal=closed, limit=limit)
        if done > first:
            yield first, done
    yield from _find_betrayed(text, roles, sensitive)


def _find_betrayed(
    text: str, roles: list[tuple[int, int]], sensitive: Callable[[str], bool]
) -> Iterator[tuple[int, int]]:
    """The values of all fields that one of them names: no telling, in a text, which of them belong together."""
    seen = betrayed = 0
    for role, _ in roles:
        seen |= role
    if not seen & CAN_BETRAY or not seen & CAN_HOLD:
        return
    for role, at in roles:
        held = HELD.match(text, at) if role & CAN_BETRAY else None
        if held:
            betrayed |= betrayed_by(role, held[1] or held[2], sensitive)
    done = overlaps = 0
    for role, at in roles:
        if role & betrayed:
            overlaps += at < done
            start, end = value_span(text, at, "word", literal=True) if overlaps < MAX_OVERLAPS else (at, len(text))
            if end > max(start, done):
                yield start, end
                done = end


def find_items(text: str, sensitive: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Where the value stands in pairs like ``["name", "value"]`` and ``(b"name", b"value")``."""
    done = 0
    for item in ITEM.finditer(text):
        if item.end() > done and sensitive(item[1]):
            start, done = value_span(text, item.end(), "word", literal=True)
            if done > start:
                yield start, done


def _start_of_words(text: str, start: int, name: str, sign: re.Match[str], sensitive: Callable[[str], bool]) -> int:
    """Where a sensitive name of several words begins, as in ``API key: x``; -1 if there is none."""
    if not text[start - 1 : start].isspace() or text.startswith("//", sign.end()):
        return -1
    if sign[0] != ":" and not text[sign.start() - 1].isspace():
        return -1
    before = WORDS.search(_line_before(text, start))
    if before is None:
        return -1
    words = before[0].split()
    # Of three words only the sum counts: "pass the value:" is prose, "social security number:" is not.
    named = sensitive(f"{words[-1]} {name}") or sensitive("".join((*words, name)))
    return start - len(before[0]) if named else -1


def _is_no_name(text: str, start: int, name: str) -> bool:
    """Whether a colon follows the host of a URL, the namespace of an element, or an exception whose message comes."""
    return text[start - 1 : start] in {"/", "<"} or RAISED.search(name) is not None


def _reach(text: str, start: int, name: str, sign: re.Match[str]) -> Reach:
    if sign[0] == ":" and WHOLE_LINE.search(name):
        return "line"
    if sign[0] != ":" and text[sign.end() : sign.end() + 1] not in {" ", "\t"}:
        return "word"
    before = _line_before(text, start)
    return "words" if len(before) < LOOK_BACK and before.strip(MARGIN) in {"", "export"} else "word"


def _line_before(text: str, at: int) -> str:
    """What stands before ``at`` on its line, cut to what is worth looking at."""
    return text[max(0, at - LOOK_BACK) : at].rpartition("\n")[2]


def _end_of_quotes(text: str, start: int, value: int) -> int:
    """Where the quotes end, if any, that begin right before a pair, or before an address that it is in."""
    before = text[max(0, start - 2 * LOOK_BACK) : start]
    opening = max(before.rfind('"'), before.rfind("'"))
    outside = before[: max(0, opening)].rstrip("\\")[-1:]
    if opening < 0 or outside.isalnum() or any(map(before[opening:].__contains__, " &;\t\n")):
        return len(text)
    closing = text.find(before[opening], value)
    # A quote right behind the sign begins the value, and ends nothing.
    return len(text) if closing < 0 or not text[value:closing].strip(" \t\\bBrRuUfF") else closing
