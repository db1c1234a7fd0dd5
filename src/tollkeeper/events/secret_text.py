"""All that is secret in a text: what shows by its shape, by a name, by its place in an address, escaped or not."""

from __future__ import annotations

import base64
import re
from functools import partial
from typing import TYPE_CHECKING

from tollkeeper.events.escapes import ESCAPE, TEXT_ESCAPE, URL_ESCAPE, Unescaped
from tollkeeper.events.secret_elements import find_elements
from tollkeeper.events.secret_pairs import find_items, find_pairs
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

# Without one of these signs there is no secret in a text, save after "=" and in a long number.
SIGNS = re.compile(
    rf"[{LETTERS}<:\"'/%&\\{ODD}](?:(?<=[{LETTERS}])(?:{BEGINNING})"
    r"|(?<=:)(?!//)(?<!\dT\d\d:)(?<! \d\d:)(?<!:\d\d:)(?<!\d\d[+-]\d\d:)"
    rf"|(?<=/)(?:{OPAQUE.pattern[1:]}|/[^\s/?#\"'<>]*@)"
    rf"|(?<=[<{ODD}])|(?<=[\"'])[\])]?\s*+,|[0-9A-Fa-f](?<=%.)[0-9A-Fa-f]|[u\"'/\\bfnrt](?<=\\.)|[qalg#](?<=&.)[0-9a-zX])"
)
ENCODED = re.compile(r"(?<![^\s\"<>\\])[^\s\"<>\\]*?%[0-9A-Fa-f]{2}[^\s\"<>\\]*+")
# The Base64 of JSON: of what begins with {", with "{ ", with [{ or with [".
BASE64 = re.compile(r"(?:ey[JA]|W3s|WyJ)[A-Za-z0-9+/_-]{9,}+={0,2}")
URL_SAFE = str.maketrans("-_", "+/")
LAYERS = 6
MOST_READ = 8
"""How many times the length of a text may be read, all layers together."""

Span = tuple[int, int]


def find_secrets(text: str, sensitive: Callable[[str], bool], *, emails: bool = False) -> list[Span]:
    """Where secrets stand, in no order, some of them more than once."""
    return _Search(partial(_find, sensitive=sensitive, emails=emails), len(text) * MOST_READ).spans(text, 0)


class _Search:
    """Looks into a text, and into what it is without its escapes, within a bound on the work."""

    def __init__(self, find: Callable[[str], Iterator[Span]], budget: int) -> None:
        self._find = find
        self._budget = budget
        self._known: dict[str, list[Span]] = {}

    def spans(self, text: str, depth: int) -> list[Span]:
        """The secrets of a text below ``depth`` layers of escapes; what has too many of them is a secret whole."""
        if text in self._known:
            return self._known[text]
        self._budget -= len(text)
        escaped = ESCAPE.search(text) if "%" in text or "\\" in text or "&" in text else None
        if escaped and (depth == LAYERS or self._budget < 0):
            return [(0, len(text))]
        spans = self._known[text] = list(self._find(text))
        # What is escaped for a URL has no blanks and no quotes, which tells it from what is around it.
        for word in ENCODED.finditer(text) if escaped else ():
            plain = Unescaped(word[0], URL_ESCAPE)
            # "+" is a blank in a form, elsewhere a plus: a value may end at the one, and go on beyond the other.
            for reading in {plain.text, plain.text.replace("+", " ")}:
                spans += [plain.origin(*span, word.start()) for span in self.spans(reading, depth + 1)]
        if escaped and TEXT_ESCAPE.search(text):
            plain = Unescaped(text, TEXT_ESCAPE)
            spans += [plain.origin(*span) for span in self.spans(plain.text, depth + 1)]
        spans += [match.span() for match in BASE64.finditer(text) if self._hides(match[0], depth)]
        return spans

    def _hides(self, encoded: str, depth: int) -> bool:
        """Whether there is a secret in what was encoded, which is hidden whole then."""
        plain = encoded.rstrip("=").translate(URL_SAFE)
        plain = plain[: len(plain) - (len(plain) % 4 == 1)]  # it may have been cut anywhere
        decoded = base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8", "replace")
        return bool(depth == LAYERS or self._budget < 0 or self.spans(decoded, depth + 1))


def _find(text: str, sensitive: Callable[[str], bool], *, emails: bool) -> Iterator[tuple[int, int]]:
    if not text.isascii() and UNUSUAL.search(text):
        text = text.translate(TYPED)
    yield from find_values(text, emails=emails)
    yield from find_pairs(text, sensitive)
    if '"' in text or "'" in text:
        yield from find_items(text, sensitive)
    if "<" in text:
        yield from find_elements(text, sensitive)
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
