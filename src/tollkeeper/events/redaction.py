"""What is shown of texts and addresses that may hold secrets: all but the secrets."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from tollkeeper.events.secret_fields import CAN_BETRAY, CAN_HOLD, betrayed_by, field_role, may_be_name
from tollkeeper.events.secret_names import is_sensitive
from tollkeeper.events.secret_text import SIGNS, find_secrets
from tollkeeper.events.secret_values import LONG_NUMBER

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["REDACTED", "is_sensitive", "is_suspect", "redact_text", "redact_url"]

REDACTED = "[REDACTED]"

VALUE_WITH_SIGN = re.compile(r"=[^&;?#=]*+=")
ORIGIN = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*+:)?//[^/?#@=:\s]*+(?::[0-9]{1,5})?(?=[/?#]|\Z)|")
WITHIN = re.compile(r"([;?#])")

_remembered = lru_cache(maxsize=4096)(is_sensitive)


def is_suspect(text: str, *, emails: bool = False) -> bool:
    """Tell cheaply whether ``redact_text`` is worth its while: what is not suspect holds no secret."""
    return bool("=" in text or SIGNS.search(text) or LONG_NUMBER.search(text) or (emails and "@" in text))


def redact_text(text: str, sensitive: Callable[[str], bool] = _remembered, *, emails: bool = False) -> str:
    """Put the marker in the place of the secrets in a text, which otherwise stays as it is.

    They are found by their shape and by the names before them, also where they are escaped as in URLs and in JSON.
    """
    if not is_suspect(text, emails=emails):
        return text
    shown: list[str] = []
    done = 0
    for start, end in sorted(find_secrets(text, sensitive, emails=emails)):
        if start > done or not shown:
            shown += (text[done:start], REDACTED)
        done = max(done, end)
    return "".join((*shown, text[done:]))


def redact_url(url: str, sensitive: Callable[[str], bool] = _remembered, *, emails: bool = False) -> str:
    """Put the marker in the place of the secrets in a URL, a path or a query string.

    Only ``&`` surely ends a value: what follows a sensitive name up to there is hidden, ``;``, ``?`` and ``#`` too.
    """
    if "=" not in url:
        return redact_text(url, sensitive, emails=emails)
    parts = url.split("&")
    fields = [_fields(part) for part in parts]
    betrayed = _betrayed(fields, sensitive)
    suspect = _is_suspect_url(url) or (emails and "@" in url)
    last: dict[str, str] = {}
    for index, part in enumerate(parts):
        for at, name, value in fields[index]:
            named = name in last and _names_secret(last[name], sensitive)
            last[name] = value
            if named or sensitive(name) or field_role(name) & betrayed:
                kept = redact_text(part[:at], sensitive, emails=emails) if suspect else part[:at]
                parts[index] = f"{kept}{REDACTED}"
                break
        else:
            if suspect:
                parts[index] = redact_text(part, sensitive, emails=emails)
    return "&".join(parts)


def _is_suspect_url(url: str) -> bool:
    origin = ORIGIN.match(url)
    start = origin.end() if origin else 0
    return bool(SIGNS.search(url, start) or LONG_NUMBER.search(url, start) or VALUE_WITH_SIGN.search(url, start))


def _fields(part: str) -> list[tuple[int, str, str]]:
    """Where each value begins in what is between two ``&``, its name, and the value."""
    fields = []
    at = 0
    for piece in WITHIN.split(part) if WITHIN.search(part) else (part,):
        name, equals, value = piece.partition("=")
        if equals:
            fields.append((at + len(name) + 1, unquote_plus(name) if "%" in name else name, value))
        at += len(piece)
    return fields


def _names_secret(value: str, sensitive: Callable[[str], bool]) -> bool:
    """Whether a value is the name of the next one of its field: ``?q=token&q=x``."""
    plain = unquote_plus(value)
    return may_be_name(plain) and sensitive(plain)


def _betrayed(fields: list[list[tuple[int, str, str]]], sensitive: Callable[[str], bool]) -> int:
    """The roles of the fields that others name as secrets: ``?name=token&value=x``."""
    roles = betrayed = 0
    for part in fields:
        for _, name, _ in part:
            roles |= field_role(name)
    if roles & CAN_BETRAY and roles & CAN_HOLD:
        for part in fields:
            for _, name, value in part:
                betrayed |= betrayed_by(field_role(name), unquote_plus(value), sensitive)
    return betrayed
