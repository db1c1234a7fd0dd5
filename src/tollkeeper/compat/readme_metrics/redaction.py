"""What of a log is hidden: by exact names, as ``denylist`` and ``allowlist`` say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.sinks.readme_log import Pairs

__all__ = ["Lists"]

OPENS_OBJECT = "{"
BYTE_ORDER_MARK = "\ufeff"


class Lists:
    """Hides the values of names that ``deny`` holds, and of those that ``allow`` does not hold where it holds any.

    A name is compared exactly, that of a header in any case. A text of n characters becomes ``[REDACTED n]``, anything
    else ``[REDACTED]``.
    """

    def __init__(self, deny: Iterable[str], allow: Iterable[str]) -> None:
        self._deny, self._allow = frozenset(deny), frozenset(allow)
        self._deny_headers = frozenset(map(str.lower, self._deny))
        self._allow_headers = frozenset(map(str.lower, self._allow))
        self._hides = bool(self._deny or self._allow)

    def headers(self, headers: Iterable[tuple[str, str]]) -> Pairs:
        """Headers with what is to be hidden."""
        if not self._hides:
            return list(headers)
        return [(name, _hidden(value) if self.hides_header(name) else value) for name, value in headers]

    def pairs(self, pairs: Iterable[tuple[str, str]]) -> Pairs:
        """The same for parameters of a URL and fields of a form."""
        if not self._hides:
            return list(pairs)
        return [(name, _hidden(value) if self._hidden_name(name) else value) for name, value in pairs]

    def query(self, query: str) -> str:
        """The same for a query string as it stands in a URL."""
        return "&".join(map(self._parameter, query.split("&"))) if self._hides and query else query

    def text(self, text: str, *, size: int, whole: bool) -> str:
        """The same for the body of ``size`` bytes, where it is a JSON object; all of it, where that cannot be read."""
        plain = text.lstrip(BYTE_ORDER_MARK)
        if not self._hides or not plain.lstrip().startswith(OPENS_OBJECT):
            return text
        if not whole:
            return f"[REDACTED {size}]"
        try:
            document = json.loads(plain)
        except RecursionError:
            return f"[REDACTED {size}]"
        except ValueError:
            return text
        return json.dumps({name: _hidden(held) if self._hidden_name(name) else held for name, held in document.items()})

    def hides_header(self, name: str) -> bool:
        """Whether the value of a header is to be hidden."""
        return self._judge(name.lower(), self._deny_headers, self._allow_headers)

    def _hidden_name(self, name: str) -> bool:
        return self._judge(name, self._deny, self._allow)

    def _judge(self, name: str, deny: frozenset[str], allow: frozenset[str]) -> bool:
        return name in deny or (bool(allow) and name not in allow)

    def _parameter(self, parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        if not equals or not self._hidden_name(unquote_plus(name)):
            return parameter
        return f"{name}={quote(_hidden(unquote_plus(value)))}"


def _hidden(value: Any) -> str:
    return f"[REDACTED {len(value)}]" if isinstance(value, str) else "[REDACTED]"
