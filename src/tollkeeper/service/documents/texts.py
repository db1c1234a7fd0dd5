"""Texts of others on a document: without what a reader cannot see, and kept apart from the direction around them."""

from __future__ import annotations

import unicodedata

__all__ = ["clean", "clean_lines", "fill", "isolated"]

MAX_LENGTH = 1_000
MAX_LINES = 12
ISOLATE, END_ISOLATE = "\u2068", "\u2069"
RIGHT_TO_LEFT = frozenset({"R", "AL"})
# Controls, surrogates, unassigned and private code points; the marks that turn the text behind them around.
UNSEEN = frozenset({"Cc", "Cs", "Cn", "Co"})
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: str) -> str:
    """One line of what can be seen, of 1,000 characters at most."""
    seen = "".join(" " if unicodedata.category(one) in UNSEEN else one for one in text if one not in TURNING)
    line = " ".join(seen.split())
    return line if len(line) <= MAX_LENGTH else f"{line[: MAX_LENGTH - 1]}…"


def clean_lines(text: str | None) -> tuple[str, ...]:
    """The lines of an address that say something, 12 at most."""
    lines = (clean(line) for line in (text or "").splitlines())
    return tuple([line for line in lines if line][:MAX_LINES])


def isolated(text: str, *, rtl: bool) -> str:
    """A text that keeps its own direction inside of another, by the marks of Unicode; unmarked where it needs none."""
    if rtl or any(unicodedata.bidirectional(one) in RIGHT_TO_LEFT for one in text):
        return f"{ISOLATE}{text}{END_ISOLATE}"
    return text


def fill(template: str, *, rtl: bool, **values: str) -> str:
    """Put values into one of our own sentences, each isolated."""
    return template.format(**{name: isolated(value, rtl=rtl) for name, value in values.items()})
