"""Undo the escapes of URLs and of JSON within a text, and tell where each character of the result came from."""

from __future__ import annotations

import re
from bisect import bisect_right

__all__ = ["ESCAPE", "Unescaped", "unescape"]

# However often "%" or "\" was escaped itself, one match undoes it: %252541 and \\\\u0041 are both "A".
ESCAPE = re.compile(
    r"((?:%(?:25)*[89A-Fa-f][0-9A-Fa-f])+)"
    r"|%(?:25)*([0-7][0-9A-Fa-f])"
    r"|\\(?<!\\\\)\\*+(?:u([0-9A-Fa-f]{4})|([/nrt]))"
)
REPEATED = re.compile("%(?:25)*")
CONTROLS = {"/": "/", "n": "\n", "r": "\r", "t": "\t"}


class Unescaped:
    """A text without its escapes, and the way back to the text that has them."""

    __slots__ = ("_starts", "_taken", "text")

    def __init__(self, escaped: str) -> None:
        self._starts: list[int] = []
        self._taken: list[tuple[int, int, int]] = []
        pieces: list[str] = []
        done = size = 0
        for match in ESCAPE.finditer(escaped):
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

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where ``text[start:end]`` stands in the escaped text; it is not empty."""
        return self._character(start)[0], self._character(end - 1)[1]

    def _character(self, at: int) -> tuple[int, int]:
        index = bisect_right(self._starts, at) - 1
        if index < 0:
            return at, at + 1
        start, end, length = self._taken[index]
        beyond = at - self._starts[index] - length
        return (start, end) if beyond < 0 else (end + beyond, end + beyond + 1)


def unescape(text: str) -> str:
    """Undo one layer of escapes."""
    return ESCAPE.sub(_plain, text)


def _plain(match: re.Match[str]) -> str:
    wide, byte, unit, control = match.groups()
    if wide:
        return bytes.fromhex(REPEATED.sub("", wide)).decode("utf-8", "replace")
    return CONTROLS[control] if control else chr(int(byte or unit, 16))
