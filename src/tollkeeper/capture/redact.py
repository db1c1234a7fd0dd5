"""Replace what is secret, at any depth and of any type, before anything leaves the process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tollkeeper.capture.retouch import Retouch
from tollkeeper.events.redaction import REDACTED, is_sensitive, is_suspect, redact_text, redact_url
from tollkeeper.events.secret_fields import CAN_BETRAY, CAN_HOLD, betrayed_by, field_role, may_be_name
from tollkeeper.events.secret_names import plain_name
from tollkeeper.events.secret_values import is_card_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
# What is known of a name, beside the role of its field: it betrays a secret, or it holds one.
SECRET, HOLDS_SECRET = 64, 128
MAX_KNOWN, MAX_KNOWN_CHARS = 2048, 256
LEAST_CARD, BEYOND_CARDS = 10**12, 10**19


class Redactor:
    """Decides what to hide, by names and by the shapes of values; one may serve many threads. Nothing in it raises.

    ``deny`` are parts of names to hide as well, ``allow`` whole names to show though the built-in rule hides them, both
    in any spelling; ``deny`` wins. ``custom(path, value)`` says what to show of each value that is not hidden; if it
    fails, the value is hidden and ``failed`` told.
    """

    def __init__(
        self,
        deny: Iterable[str] = (),
        allow: Iterable[str] = (),
        *,
        emails: bool = False,
        custom: Callable[[str, Any], Any] | None = None,
        failed: Callable[[BaseException], object] = lambda _: None,
    ) -> None:
        self._denied = tuple(filter(None, map(plain_name, deny)))
        self._allowed = frozenset(map(plain_name, allow))
        self._emails = emails
        self._suspect = partial(is_suspect, emails=True) if emails else is_suspect
        self._retouch = Retouch(custom, failed) if custom else None
        self._names: dict[str, bool] = {}
        self._fields: dict[str, int] = {}
        self._harmless: dict[str, bool] = {}

    def is_sensitive(self, name: str) -> bool:
        """Whether what ``name`` holds must not be shown; case, separators, accents and escapes make no difference."""
        sensitive = self._names.get(name)
        if sensitive is None:
            sensitive = self._judge(name)
            _remember(self._names, name, sensitive)
        return sensitive

    def document(self, value: Any, at: str = "body") -> Any:
        """Hide in place, without recursion, and return ``value``: fresh JSON (dicts, lists, scalars) of any depth."""
        holder = [value]
        waiting: list[Any] = [holder]
        texts: list[tuple[Any, Any, str]] = []
        renamed = []
        while waiting:
            node = waiting.pop()
            if isinstance(node, list):
                self._hide_in_array(node, waiting, texts)
            elif self._hide_in_object(node, waiting, texts):
                renamed.append(node)
        # Most documents hold nothing that is suspect: one look at all of their texts is cheaper than one at each.
        if texts and self._suspect("\n".join([text for _, _, text in texts])):
            for node, step, text in texts:
                if node[step] is text and self._suspect(text):
                    node[step] = self._hide(text)
        for node in renamed:
            self._hide_names(node)
        if self._retouch:
            self._retouch.document(holder, at)
        return holder[0]

    def headers(self, headers: Iterable[tuple[str, str]], at: str = "headers") -> dict[str, str | list[str]]:
        """Headers as an object; one that is repeated, in whatever case, is an array."""
        spelling: dict[str, str] = {}
        return self._object([(spelling.setdefault(name.lower(), name), value) for name, value in headers], at, 0)

    def args(self, query: str, at: str = "args") -> dict[str, str | list[str]]:
        """The parameters of a query string or a form; one that is repeated is an array."""
        fields = parse_qsl(query, keep_blank_values=True, errors="replace")
        betrayed = 0
        for name, value in fields if len(fields) > 1 else ():
            betrayed |= betrayed_by(field_role(name), value, self.is_sensitive)
        return self._object(fields, at, betrayed)

    def url(self, url: str, at: str = "url") -> str:
        """A URL, a path or a query string without user-info and the values of sensitive parameters."""
        shown = redact_url(url, self.is_sensitive, emails=self._emails)
        return self._retouch.text(at, shown) if self._retouch else shown

    def text(self, text: str, at: str = "text") -> str:
        """A text with the marker in the place of the secrets that their shapes and names give away."""
        shown = self._show(text)
        return self._retouch.text(at, shown) if self._retouch else shown

    def _object(self, fields: Iterable[tuple[str, str]], at: str, betrayed: int) -> dict[str, str | list[str]]:
        shown: dict[str, str | list[str]] = {}
        last: dict[str, str] = {}
        for name, value in fields:
            traits = self._traits(name)
            key = self._hide(name) if traits & HOLDS_SECRET else name
            named = name in last and may_be_name(last[name]) and self.is_sensitive(last[name])
            last[name] = value
            text = REDACTED if named or traits & (SECRET | betrayed) else self._show(value)
            if self._retouch:
                text = self._retouch.text(f"{at}.{key}", text)
            present = shown.get(key)
            if present is None:
                shown[key] = text
            elif isinstance(present, list):
                present.append(text)
            else:
                shown[key] = [present, text]
        return shown

    def _hide_in_object(self, node: dict[str, Any], waiting: list[Any], texts: list[tuple[Any, Any, str]]) -> int:
        """Hide what names betray, tell what is left to look at, and whether one of the names is itself a secret."""
        known = self._fields
        seen = 0
        for name, held in node.items():
            traits = known.get(name)
            if traits is None:
                traits = self._traits(name)
            if traits:
                seen |= traits
                if traits & SECRET:
                    node[name] = REDACTED
                    continue
            kind = type(held)
            if kind is str:
                texts.append((node, name, held))
            elif kind is dict or kind is list:
                waiting.append(held)
            elif (kind is int or kind is float) and not -LEAST_CARD < held < LEAST_CARD and _is_card(held):
                node[name] = REDACTED
        if seen & CAN_BETRAY and seen & CAN_HOLD:
            self._hide_betrayed(node)
        return seen & HOLDS_SECRET

    def _hide_in_array(self, node: list[Any], waiting: list[Any], texts: list[tuple[Any, Any, str]]) -> None:
        named = False
        for index, held in enumerate(node):
            kind = type(held)
            if named:
                node[index] = REDACTED
            elif kind is str:
                texts.append((node, index, held))
            elif kind is dict or kind is list:
                waiting.append(held)
            elif (kind is int or kind is float) and not -LEAST_CARD < held < LEAST_CARD and _is_card(held):
                node[index] = REDACTED
            named = kind is str and index + 1 < len(node) and may_be_name(held) and self.is_sensitive(held)

    def _hide_betrayed(self, node: dict[str, Any]) -> None:
        betrayed = 0
        for name, held in node.items():
            betrayed |= betrayed_by(self._traits(name), held, self.is_sensitive)
        for name in node:
            if self._traits(name) & betrayed:
                node[name] = REDACTED

    def _hide_names(self, node: dict[str, Any]) -> None:
        fields = list(node.items())
        node.clear()
        for name, held in fields:
            key = self._hide(name)
            node[f"{key} {len(node)}" if key in node else key] = held

    def _show(self, text: str) -> str:
        """Hide what is secret; remembers harmless texts, of which user agents and the like are the same ever again."""
        if text in self._harmless:
            return text
        shown = self._hide(text)
        if shown == text:
            _remember(self._harmless, text, True)
        return shown

    def _hide(self, text: str) -> str:
        return redact_text(text, self.is_sensitive, emails=self._emails)

    def _traits(self, name: str) -> int:
        """What a name says of its field: bits of ``field_role``, SECRET and HOLDS_SECRET."""
        traits = self._fields.get(name)
        if traits is None:
            traits = field_role(name) | SECRET * self.is_sensitive(name) | HOLDS_SECRET * (self._hide(name) != name)
            _remember(self._fields, name, traits)
        return traits

    def _judge(self, name: str) -> bool:
        plain = plain_name(name)
        if any(denied in plain for denied in self._denied):
            return True
        return plain not in self._allowed and is_sensitive(name)


def authorization_scheme(header: str) -> str:
    """``Bearer [REDACTED]`` for a bearer token; only a scheme that is known is shown, the rest may be the secret."""
    scheme, space, _ = header.strip().partition(" ")
    return f"{scheme} {REDACTED}" if space and scheme.lower() in SCHEMES else REDACTED


def _is_card(value: float) -> bool:
    """Whether a number is the number of a card; a client may have made a float of it."""
    value = abs(value)
    return value < BEYOND_CARDS and is_card_number(str(int(value)))


def _remember(known: dict[str, Any], text: str, what: Any) -> None:
    if len(text) <= MAX_KNOWN_CHARS:
        if len(known) >= MAX_KNOWN:
            known.clear()
        known[text] = what
