"""What a multipart body consists of, told while it streams by: names, types and sizes, never what a part holds."""

from __future__ import annotations

import re
from urllib.parse import unquote

__all__ = ["MultipartSummary"]

MAX_PARTS = 100
MAX_NAME = 255
MAX_HEADERS = 8 * 2**10
MAX_BOUNDARY = 200
MAX_STEPS = 1000
"""Delimiters, real or seeming, that are looked at in one body: the request's thread has better things to do."""
SEAM = 512
"""Bytes that are copied to see across the border of two chunks; more than are ever held back of a part's data."""
WAIT = -1

DELIMITER_END = re.compile(rb"--|[ \t]{0,64}(?=\r\n)")
MAYBE_DELIMITER_END = re.compile(rb"-|[ \t]{0,64}\r?")
FOLD = re.compile(r"\r\n[ \t]+")
PARAMETER = re.compile(r';[ \t]*([^\s=;"]+)=("(?:[^"\\]|\\.)*"|[^;"\s]+)', re.DOTALL)
ESCAPED = re.compile(r'\\(["\\])')
EXTENDED = re.compile(r"(utf-8|iso-8859-1|us-ascii)'[^']*'(.*)", re.IGNORECASE | re.DOTALL)


class MultipartSummary:
    """Takes the chunks of one body, however they are cut, and holds no more of it than the headers of its parts.

    ``feed`` never raises, and is cheap enough for the request's thread. Without a usable boundary there are no parts.
    """

    __slots__ = ("_begun", "_delimiter", "_done", "_headers", "_held", "_in_headers", "_size", "_steps")

    def __init__(self, content_type: str) -> None:
        boundary = _parameters(content_type).get("boundary", "").encode("latin-1", "replace")
        self._delimiter = b"\r\n--" + boundary
        self._held = b"\r\n"  # the first delimiter may be the first line
        self._steps = MAX_STEPS if 0 < len(boundary) <= MAX_BOUNDARY else 0
        self._begun = 0
        self._done: list[tuple[bytes, int]] = []
        self._headers: bytes | None = None  # of the part that is open and will be told
        self._in_headers = False
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next chunk."""
        if not self._steps:
            return
        self._read(self._held + data[:SEAM], 0)
        if len(data) > SEAM:
            if len(self._held) > SEAM:  # long headers
                self._read(self._held + data[SEAM:], 0)
            else:
                self._read(data, SEAM - len(self._held))

    def parts(self) -> list[dict[str, object]]:
        """Tell of each part its ``name``, ``filename`` and ``content_type``, as far as it has them, and its ``size``.

        The last has ``"complete": False`` where the body ends within it. ``{"more": n}`` follows the hundredth when
        there were n others. Names come from the client: they are cut, but not to be trusted.
        """
        told = [_described(headers, size) for headers, size in self._done]
        if self._headers is not None:
            size = 0 if self._in_headers else max(0, self._size + len(self._held))
            told.append({**_described(self._headers, size), "complete": False})
        if self._begun > MAX_PARTS:
            told.append({"more": self._begun - MAX_PARTS})
        return told

    def _read(self, buffer: bytes, start: int) -> None:
        while self._steps:
            past = self._past_headers(buffer, start) if self._in_headers else self._past_data(buffer, start)
            if past == WAIT:
                return
            start = past
        self._held = b""

    def _past_headers(self, buffer: bytes, start: int) -> int:
        """Go from the end of a delimiter's line to the end of the last header's; both line breaks are still ahead."""
        end = buffer.find(b"\r\n\r\n", start, start + MAX_HEADERS)
        if end < 0 and len(buffer) - start < MAX_HEADERS:
            return self._hold(buffer, start, start)
        self._in_headers = False
        if end < 0:
            return start  # headers without an end are data
        self._headers = buffer[start:end]
        self._size = -2  # the data begins after the line break that may also be a delimiter's
        return end + 2

    def _past_data(self, buffer: bytes, start: int) -> int:
        at = buffer.find(self._delimiter, start)
        if at < 0:
            return self._hold(buffer, start, max(start, len(buffer) - len(self._delimiter) + 1))
        end = at + len(self._delimiter)
        found = DELIMITER_END.match(buffer, end)
        if found is None and MAYBE_DELIMITER_END.fullmatch(buffer, end):
            return self._hold(buffer, start, at)
        self._steps -= 1
        if found is None:  # a longer word that begins like the boundary
            self._size += end - start
            return end
        if self._headers is not None:
            self._done.append((self._headers, max(0, self._size + at - start)))
        if found[0] == b"--":
            self._steps, self._headers = 0, None
        else:
            self._begun += 1
            self._in_headers = self._begun <= MAX_PARTS
            self._headers, self._size = b"" if self._in_headers else None, 0
        return found.end()

    def _hold(self, buffer: bytes, start: int, keep: int) -> int:
        self._size += keep - start
        self._held = buffer[keep:]
        return WAIT


def _described(headers: bytes, size: int) -> dict[str, object]:
    fields: dict[str, str] = {}
    for line in FOLD.sub(" ", headers.decode("utf-8", "replace")).split("\r\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value)
    told: dict[str, object] = {}
    given = _parameters(fields.get("content-disposition", ""))
    if "filename*" in given:
        extended = EXTENDED.fullmatch(given["filename*"])
        given["filename"] = unquote(extended[2], extended[1]) if extended else given["filename*"]
    for key in ("name", "filename"):
        if key in given:
            told[key] = given[key][:MAX_NAME]
    if "content-type" in fields:
        told["content_type"] = fields["content-type"].partition(";")[0].strip()[:MAX_NAME]
    return {**told, "size": size}


def _parameters(header: str) -> dict[str, str]:
    """The parameters of a header's value, by their names in lower case; browsers write ``%22`` for a quote."""
    return {
        name.lower(): ESCAPED.sub(r"\1", value[1:-1]).replace("%22", '"') if value[0] == '"' else value
        for name, value in PARAMETER.findall(header)
    }
