"""Where the value of a name ends in a text: at its quote, its bracket, its word, its line."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Reach", "value_span"]

Reach = Literal["word", "words", "line"]
"""How far a value without quotes goes: to the next blank, to the next name on the line, to the end of the line."""

# Blanks before a value; onto the next line only when it is quoted or in brackets, or all of it is indented, as in YAML.
BLANKS = re.compile(r"\s*+(?=(?:[bBrRuUfF]{1,2})?\\*+[\"'`\[{(])|[^\S\r\n]*+")
BLOCK = re.compile(
    r"[^\S\r\n]*+([|>][+-]?[1-9]?[^\S\r\n]*+)?(?:\r?\n)++([ \t]++)(?(1)|(?!\\*+[\"'`\[{(]))"
    r"(?P<block>[^\r\n]*+(?:(?:\r?\n)++\2[^\r\n]*+)*+)"
)
LITERAL = re.compile(r"(?:-?[0-9][0-9.eE+-]*+|true|false|null|True|False|None)(?=\s*+[,)\]}])")
OPENING = re.compile(r"(?:[bBrRuUfF]{1,2}(?=\\*+[\"']))?(?:(\\*+)([\"'`])|[\[{(])")
BARE = {
    "word": re.compile(r"[^\s&]*+"),
    "words": re.compile(r"[^\s&]*+(?:[^\S\r\n]++(?![^\s=:&]*+[=:])[^\s&]++)*+"),
    "line": re.compile(r"[^\r\n]*+"),
}
BRACKET = re.compile(r"[\[\](){}\"']")
CLOSERS = ",;)]}>\"'\\"


def value_span(text: str, at: int, reach: Reach, *, literal: bool = False, limit: int | None = None) -> tuple[int, int]:
    """The span of the value that begins at ``at`` or after blanks, without its quotes.

    One that never ends goes to ``limit``, or to the end. ``literal`` says that numbers and the like end, as in JSON, at
    a comma or a bracket.
    """
    limit = len(text) if limit is None else limit
    block = BLOCK.match(text, at, limit)
    if block:
        return block.span("block")
    at = _after(BLANKS, text, at, limit)
    number = LITERAL.match(text, at, limit) if literal else None
    if number:
        return number.span()
    opening = OPENING.match(text, at, limit)
    if opening and opening[2]:
        return opening.end(), _quote_end(text, opening.end(), limit, opening[2], len(opening[1]))
    if opening and literal:
        return at, _bracket_end(text, at, limit)
    end = _bare_end(text, at, limit, reach)
    return at, at + len(text[at:end].rstrip("\\")) if end == limit < len(text) else end


def _after(pattern: re.Pattern[str], text: str, at: int, limit: int) -> int:
    match = pattern.match(text, at, limit)
    return match.end() if match else at


def _bare_end(text: str, at: int, limit: int, reach: Reach) -> int:
    end = _after(BARE[reach], text, at, limit)
    bracket = BRACKET.search(text, at, end)
    closed = at
    if bracket and bracket[0] in "[({":
        closed = _bracket_end(text, bracket.start(), limit)
        end = _after(BARE["word"], text, closed, limit) if closed > end else end
    shown = text[at:end].rstrip(CLOSERS) if reach == "word" else ""
    return max(closed, at + len(shown)) if shown else end


def _quote_end(text: str, at: int, limit: int, quote: str, depth: int) -> int:
    """Where a string ends whose opening quote has ``depth`` backslashes before it, as strings within strings have."""
    start = at
    while (found := text.find(quote, at, limit)) >= 0:
        count = _slashes(text, start, found)
        at = start = found + 1
        if depth == 0 and count % 2 == 0 and text.startswith(quote, at):
            at = start = found + 2  # as SQL writes a quote within quotes
        elif count < depth or count % (2 * depth + 2) == depth:
            return found - min(count, depth)
    return limit


def _bracket_end(text: str, at: int, limit: int) -> int:
    """Behind the bracket that closes the one at ``at``; brackets in strings do not count."""
    depth, start = 0, at
    while (found := BRACKET.search(text, at, limit)) is not None:
        at = found.end()
        if found[0] in "[({":
            depth += 1
        elif found[0] in "])}":
            depth -= 1
            if depth == 0:
                return at
        elif not text[at - 2].isalnum():  # no apostrophe
            at = _quote_end(text, at, limit, found[0], _slashes(text, start, at - 1)) + 1
        start = at
    return limit


def _slashes(text: str, start: int, end: int) -> int:
    """How many backslashes stand before ``end``."""
    at = end
    while at > start and text[at - 1] == "\\":
        at -= 1
    return end - at
