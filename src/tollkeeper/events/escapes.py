"""Undo one layer of the escapes of URLs, or of JSON and HTML, and tell where each character of the result came from."""

from __future__ import annotations

import html
import re
from bisect import bisect_right

__all__ = ["ESCAPE", "TEXT_ESCAPE", "URL_ESCAPE", "Unescaped", "unescape"]

URL_ESCAPE = re.compile(r"(?:%[89A-Fa-f][0-9A-Fa-f])+|%[0-7][0-9A-Fa-f]")
TEXT_ESCAPE = re.compile(
    r"\\(?:u[0-9A-Fa-f]{4}|[\"'/\\bfnrt])|&(?:quot|apos|amp|lt|gt|#[0-9]{1,6}|#[xX][0-9A-Fa-f]{1,5});"
)
ESCAPE = re.compile(rf"{URL_ESCAPE.pattern}|{TEXT_ESCAPE.pattern}")
CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Unescaped:
    """A text without a layer of escapes, and the way back to the text that has them."""

    __slots__ = ("_starts", "_taken", "text")

    def __init__(self, escaped: str, escape: re.Pattern[str]) -> None:
        self._starts: list[int] = []
        self._taken: list[tuple[int, int, int]] = []
        pieces: list[str] = []
        done = size = 0
        for match in escape.finditer(escaped):
            start, end = match.span()
            plain = _plain(match)
            pieces += (escaped[done:start], plain)
            size += start - done
            self._starts.append(size)
            self._taken.append((start, end, len(plain)))
            size += len(plain)
            done = end
        pieces.append(escaped[done:])
        self.text = "".join(pieces)

    def origin(self, start: int, end: int, offset: int = 0) -> tuple[int, int]:
        """Where ``text[start:end]``, which is not empty, stands in the escaped text if that begins at ``offset``."""
        return offset + self._character(start)[0], offset + self._character(end - 1)[1]

    def _character(self, at: int) -> tuple[int, int]:
        index = bisect_right(self._starts, at) - 1
        if index < 0:
            return at, at + 1
        start, end, length = self._taken[index]
        beyond = at - self._starts[index] - length
        return (start, end) if beyond < 0 else (end + beyond, end + beyond + 1)


def unescape(text: str) -> str:
    """Undo one layer of all these escapes."""
    return ESCAPE.sub(_plain, text)


def _plain(match: re.Match[str]) -> str:
    escape = match[0]
    if escape[0] == "\\":
        return chr(int(escape.removeprefix("\\u"), 16)) if escape[1] == "u" else CONTROLS.get(escape[1], escape[1])
    if escape[0] == "&":
        return html.unescape(escape)
    return bytes.fromhex(escape.replace("%", "")).decode("utf-8", "replace")
