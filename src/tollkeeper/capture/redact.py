"""Replace what sensitive names hold, at any depth and of any type, before anything leaves the process."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tollkeeper.events.redaction import REDACTED, is_sensitive, redact_url

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Redactor", "authorization_scheme"]

SCHEMES = frozenset(
    {
        "apikey",
        "aws4-hmac-sha256",
        "basic",
        "bearer",
        "digest",
        "dpop",
        "hawk",
        "hoba",
        "mutual",
        "negotiate",
        "ntlm",
        "token",
    }
)
MAX_CACHED_NAME = 64
_separators = re.compile(r"[\W_]+")


class Redactor:
    """Decides by name what to hide; ``deny`` adds names to the built-in ones, in any spelling. Safe in threads."""

    def __init__(self, deny: Iterable[str] = ()) -> None:
        self._denied = tuple(filter(None, (_squeeze(name) for name in deny)))
        self._cached = lru_cache(maxsize=4096)(self._judge)

    def is_sensitive(self, name: str) -> bool:
        """Whether what ``name`` holds must not be shown; case and separators make no difference."""
        return self._cached(name) if len(name) <= MAX_CACHED_NAME else self._judge(name)

    def _judge(self, name: str) -> bool:
        squeezed = _squeeze(name)
        return any(denied in squeezed for denied in self._denied) or is_sensitive(name)

    def document(self, value: Any) -> Any:
        """Hide in place, without recursion, and return ``value``: fresh JSON (dicts, lists, scalars) of any depth."""
        waiting = [value]
        while waiting:
            node = waiting.pop()
            if isinstance(node, dict):
                for name, held in node.items():
                    if self.is_sensitive(name):
                        node[name] = REDACTED
                    elif isinstance(held, dict | list):
                        waiting.append(held)
            elif isinstance(node, list):
                waiting += [item for item in node if isinstance(item, dict | list)]
        return value

    def headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
        """Headers as an object; a repeated one is an array, and addresses in them lose what their query hides."""
        shown: dict[str, str | list[str]] = {}
        spelling: dict[str, str] = {}
        for name, value in headers:
            text = REDACTED if self.is_sensitive(name) else self.url(value)
            key = spelling.setdefault(name.lower(), name)
            present = shown.get(key)
            if present is None:
                shown[key] = text
            elif isinstance(present, list):
                present.append(text)
            else:
                shown[key] = [present, text]
        return shown

    def url(self, url: str) -> str:
        """An address, or a query string, without user-info and with the values of sensitive parameters hidden."""
        return redact_url(url, self.is_sensitive)

    def args(self, query: str) -> dict[str, str]:
        """The first value of each parameter of a query string, the sensitive ones hidden."""
        first: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
            first.setdefault(name, REDACTED if self.is_sensitive(name) else self.url(value))
        return first


def authorization_scheme(header: str) -> str:
    """``Bearer [REDACTED]`` for a bearer token; only a scheme that is known is shown, the rest may be the secret."""
    scheme, space, _ = header.strip().partition(" ")
    return f"{scheme} {REDACTED}" if space and scheme.lower() in SCHEMES else REDACTED


def _squeeze(name: str) -> str:
    return _separators.sub("", unicodedata.normalize("NFKC", name)).lower()
