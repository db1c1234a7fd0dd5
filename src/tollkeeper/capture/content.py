"""From the bytes that were kept of a body to what the event shows: JSON, form or text, with the secrets hidden."""

from __future__ import annotations

import codecs
import re
import zlib
from functools import lru_cache
from json import detect_encoding
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct

from tollkeeper.capture.json_value import read_json, read_utf8

if TYPE_CHECKING:
    from tollkeeper.capture.redact import Redactor

__all__ = ["KEPT", "Content", "is_kept", "read_content"]

KEPT = ("application/json", "+json", "application/x-www-form-urlencoded", "multipart/form-data", "text/")
"""The content types whose bodies are kept: whole ones, ``+endings``, ``beginnings/``; ``*/*`` would be all."""

FORM = "application/x-www-form-urlencoded"
LINES = frozenset({"application/jsonl", "application/ndjson", "application/x-jsonlines", "application/x-ndjson"})
TEXTS = frozenset({"application/graphql", "application/javascript", "application/xml", "application/yaml"})
MAX_TYPE = 255

CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^\s"';]+)""", re.IGNORECASE)
# Python knows codecs that take quadratic time, run escapes or hide text from whoever looks for secrets (UTF-7).
READABLE = re.compile(
    r"utf-?8|utf-?(?:16|32)(?:-?[lb]e)?|(?:us-)?ascii|iso-?8859-?\d{1,2}|latin-?\d|(?:windows-|cp)125\d"
    r"|koi8-[ru]|gb2312|gbk|gb18030|big5|shift[_-]jis|euc-(?:jp|kr)",
    re.IGNORECASE,
)
# The window sizes by which zlib tells the formats apart; deflate comes with its header, and often without.
WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
# Also sent as text (beacons) or as a form (curl -d): as JSON, its secrets have names.
LOOKS_LIKE_JSON = re.compile(r'\s*(?:\{\s*"|\[\s*[\[{"])')

Kind = Literal["json", "lines", "form", "text"]


class Content(Struct, frozen=True):
    """What can be read of a body, secrets and all: a JSON value, the pairs of a form as they were sent, or a text.

    ``truncated`` says that there was more of it.
    """

    kind: Literal["json", "form", "text"]
    value: Any
    truncated: bool

    def hidden_by(self, redactor: Redactor, at: str) -> Any:
        """Return it as a value for JSON, secrets hidden; may change ``value``, so ask once."""
        if self.kind == "json":
            return redactor.document(self.value, at)
        return redactor.args(self.value, at) if self.kind == "form" else redactor.text(self.value, at)


def is_kept(content_type: str, kept: tuple[str, ...]) -> bool:
    """Whether bodies of this Content-Type are to be kept; ``kept`` as ``KEPT``, in any case. Cheap, never raises."""
    return _is_kept(content_type.partition(";")[0][:MAX_TYPE], kept)


@lru_cache(maxsize=256)
def _is_kept(media_type: str, kept: tuple[str, ...]) -> bool:
    plain = media_type.strip().lower()
    for pattern in map(str.lower, kept):
        if plain.endswith(pattern) if pattern[:1] == "+" else plain == pattern:
            return True
        if pattern == "*/*" or (pattern.endswith(("/", "/*")) and plain.startswith(pattern.rstrip("*"))):
            return True
    return False


def read_content(data: bytes, content_type: str, encoding: str, *, truncated: bool, limit: int) -> Content | None:
    """Read the beginning of a body, or all of it; None when nothing of it can be shown. Never raises.

    ``encoding`` is the Content-Encoding: what is packed by gzip or deflate is unpacked up to ``limit`` bytes. Of cut
    JSON and forms, what is complete remains. What says that it is JSON and is not, is a text.
    """
    kind = _kind(content_type)
    if kind is None:
        return None
    data, more = _unpacked(data, encoding.strip().lower(), limit)
    cut = truncated or more
    if kind == "json" and not cut and (found := read_utf8(data)):
        return Content("json", found[0], truncated=False)
    charset = _charset(data, content_type, kind, cut=cut)
    if charset is None or not (text := codecs.getincrementaldecoder(charset)("replace").decode(data, not cut)):
        return None
    if kind in {"json", "lines"} or LOOKS_LIKE_JSON.match(text):
        found = read_json(text, cut=cut, lines=kind == "lines")
        if found is not None:
            return Content("json", found[0], truncated=not found[1])
        # A cut text may end within a secret, its name far ahead: too little is known to show it.
        return None if cut or (kind != "text" and "\ufffd" in text) else Content("text", text, truncated=False)
    return _form(text, charset, cut=cut) if kind == "form" else Content("text", text, cut)


def _kind(content_type: str) -> Kind | None:
    plain = content_type.partition(";")[0].strip().lower()
    if plain == "application/json" or plain.endswith("+json"):
        return "json"
    if plain in LINES:
        return "lines"
    if plain == FORM:
        return "form"
    return "text" if plain.startswith("text/") or plain.endswith("+xml") or plain in TEXTS else None


def _unpacked(data: bytes, coding: str, limit: int) -> tuple[bytes, bool]:
    """At most ``limit`` plain bytes, and whether there is more; nothing when they cannot be had."""
    if coding in {"", "identity"}:
        return data[:limit], len(data) > limit
    for window in WINDOWS.get(coding, ()):
        unpacker = zlib.decompressobj(window)
        try:
            plain = unpacker.decompress(data, limit + 1)
        except zlib.error:
            continue
        return plain[:limit], len(plain) > limit or not unpacker.eof or bool(unpacker.unused_data)
    return b"", True


def _charset(data: bytes, content_type: str, kind: Kind, *, cut: bool) -> str | None:
    """Name the codec: by the first bytes where they tell, else by the header; None when it must not be used."""
    name: str = detect_encoding(data)
    declared = CHARSET.search(content_type)
    if name != "utf-8" or not declared or (kind in {"json", "lines"} and _is_utf8(data, cut=cut)):
        return name
    try:
        name = codecs.lookup(declared[1]).name if READABLE.fullmatch(declared[1]) else ""
    except LookupError:
        return None
    return f"{name}-le" if name in {"utf-16", "utf-32"} else name or None  # no byte order mark, as browsers take it


def _is_utf8(data: bytes, *, cut: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, not cut)
    except UnicodeDecodeError:
        return False
    return True


def _form(text: str, charset: str, *, cut: bool) -> Content | None:
    if cut:
        text = text.rpartition("&")[0]
    if charset != "utf-8" and "%" in text:
        text = urlencode(parse_qsl(text, keep_blank_values=True, encoding=charset, errors="replace"))
    return Content("form" if "=" in text else "text", text, cut) if text else None
