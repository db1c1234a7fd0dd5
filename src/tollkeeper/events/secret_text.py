"""All that is secret in a text: what shows by its shape, by a name, by its place in an address, escaped or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.events.escapes import ESCAPE, Unescaped
from tollkeeper.events.secret_fields import CAN_BETRAY, CAN_HOLD
from tollkeeper.events.secret_pairs import find_items, find_pairs
from tollkeeper.events.secret_records import find_records
from tollkeeper.events.secret_values import BEGINNING, LETTERS, find_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SIGNS", "find_secrets"]

# Letters, digits and signs of full width, the blanks and dashes of typographers, Arabic digits: one for one.
TYPED = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
TYPED |= {code: str(digit) for zero in (0x660, 0x6F0) for digit, code in enumerate(range(zero, zero + 10))}
TYPED |= dict.fromkeys((0xA0, 0x2007, 0x2009, 0x202F, 0x3000), " ") | dict.fromkeys(range(0x2010, 0x2016), "-")
ODD = "".join(map(chr, TYPED))
UNUSUAL = re.compile(f"[{ODD}]")

# A step of a path that no person would write: eight characters with two digits, or twenty without a separator.
OPAQUE = re.compile(
    r"/(?:(?=[^/\s?#&=;\"'<>]{8})(?=[^/\s?#&=;\"'<>A-Za-z]*+[A-Za-z])"
    r"[^/\s?#&=;\"'<>0-9]*+[0-9][^/\s?#&=;\"'<>0-9]*+[0-9]|[A-Za-z0-9]{20})"
)
STEP = re.compile(r"/([^/\s?#&=;\"'<>]++)")
USERINFO = re.compile(r"//([^\s/?#\"'<>]+)@|://([^\s/?#@:\"'<>]*:(?![0-9]*(?:[/?#]|\Z))[^\s@\"'<>]{1,256})@")
TAG = re.compile(r"<([\w:.-]++)")

# Without one of these signs there is no secret in a text, save after "=" and in a long number.
SIGNS = re.compile(
    rf"[{LETTERS}<:\"'/%\\{ODD}](?:(?<=[{LETTERS}])(?:{BEGINNING})"
    r"|(?<=:)(?!//)(?<!\dT\d\d:)(?<! \d\d:)(?<!:\d\d:)(?<!\d\d[+-]\d\d:)"
    rf"|(?<=/)(?:{OPAQUE.pattern[1:]}|/[^\s/?#\"'<>]*@)"
    rf"|(?<=[<{ODD}])|(?<=[\"'])[\])]?\s*+,|[0-9A-Fa-f](?<=%.)[0-9A-Fa-f]|[u/nrt](?<=\\.))"
)
LAYERS = 4


def find_secrets(text: str, sensitive: Callable[[str], bool], *, emails: bool = False) -> Iterator[tuple[int, int]]:
    """Where secrets stand, in no order, some of them more than once."""
    yield from _find(text, sensitive, emails=emails)
    layers: list[Unescaped] = []
    plain = text
    while ("%" in plain or "\\" in plain) and ESCAPE.search(plain):
        if len(layers) == LAYERS:  # nobody escapes a harmless text so often
            yield 0, len(text)
            return
        layers.append(Unescaped(plain))
        plain = layers[-1].text
        for start, end in _find(plain, sensitive, emails=emails):
            span = start, end
            for layer in reversed(layers):
                span = layer.origin(*span)
            yield span


def _find(text: str, sensitive: Callable[[str], bool], *, emails: bool) -> Iterator[tuple[int, int]]:
    if not text.isascii() and UNUSUAL.search(text):
        text = text.translate(TYPED)
    yield from find_values(text, emails=emails)
    roles = yield from find_pairs(text, sensitive)
    if '"' in text or "'" in text:
        yield from find_items(text, sensitive)
    element = "<" in text
    if (roles & CAN_BETRAY and (roles & CAN_HOLD or element)) or (element and any(map(sensitive, TAG.findall(text)))):
        yield from find_records(text, sensitive)
    if "/" in text:
        yield from _find_in_addresses(text, sensitive)


def _find_in_addresses(text: str, sensitive: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    for match in USERINFO.finditer(text) if "@" in text else ():
        yield match.span(match.lastindex or 0)
    if not OPAQUE.search(text):
        return
    secret, behind = False, -1
    for step in STEP.finditer(text):
        start, end = step.span()
        secret = secret and start == behind
        if secret and OPAQUE.match(text, start):
            yield step.span(1)
        elif text.startswith("/", end) and text[start - 1 : start] != "/":
            secret = secret or sensitive(step[1])
        behind = end
