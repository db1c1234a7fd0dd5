"""From the lines of an access log to events: the same line always gives the same event, with the same id."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from tollkeeper.events.event import Client, Consumer, Request, Response, UsageEvent
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.ids import id_from_hash
from tollkeeper.events.log_formats import FORMATS, Fields, pattern_format
from tollkeeper.events.log_values import read_number, read_request, read_status, read_text, read_time
from tollkeeper.events.redaction import is_sensitive, redact_url
from tollkeeper.events.routes import template_path
from tollkeeper.events.timestamps import to_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SOURCE", "UNREADABLE", "AccessLog"]

SOURCE = "access-log"
UNREADABLE = "{unreadable}"
ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
PARAMETER = re.compile(r"([\w.-]+)\"?[=:]\s*\"?(?:Bearer |Basic )?$")
PARAMETER_SPAN = 80
TEXT, SHORT_TEXT = 8192, 255
MAX_SECONDS, MAX_SIZE = 31_536_000.0, 2**40
GENERATION = 2**18
NO_REQUEST, NO_RESPONSE = Request(), Response()


class AccessLog:
    """Reads the lines of one file in their order, so that identical lines get ids of their own.

    The id is the hash of the line and of how many such lines came before it: reading the file again, or after it has
    grown, gives the same ids. Of a line only the repetitions within the last 262,144 distinct lines are told apart,
    which bounds memory; repetitions carry the same time, so they stand close together.
    """

    def __init__(
        self,
        log_format: str = "auto",
        *,
        pattern: str | None = None,
        consumer: str = "ip",
        route: Callable[[str], str] = template_path,
    ) -> None:
        """Choose how lines are read.

        ``log_format`` is ``common``, ``combined``, ``json``, or ``auto``: that of the first line that can be read.
        ``consumer`` is ``ip``, ``user``, or a regular expression whose first group, searched in the line, is the key.

        Raises:
            ValueError: an unknown format, or a regular expression that cannot be used.
        """
        if log_format not in {"auto", *FORMATS}:
            raise ValueError(f"The format {log_format!r} is not known: choose auto, {', '.join(FORMATS)}.")
        self._read = pattern_format(pattern) if pattern else FORMATS.get(log_format, self._detect)
        self._consumer = consumer
        self._search = None if consumer in {"ip", "user"} else _compile_consumer(consumer)
        self._route = route
        self._seen: dict[bytes, int] = {}
        self._seen_before: dict[bytes, int] = {}

    def event(self, line: str) -> UsageEvent:
        """Read one line without its end; raises ValueError with what is wrong with it."""
        if not line:
            raise ValueError("it is empty")
        fields = self._read(line)
        time = read_time(fields.time)
        status = read_status(fields.status)
        method, target = _request(fields)
        url, path = _address(target)
        referer = read_text(fields.referer, TEXT)
        elapsed, size = read_number(fields.elapsed, MAX_SECONDS), read_number(fields.size, MAX_SIZE)
        digest = self._digest(line)
        return UsageEvent(
            id=id_from_hash(to_microseconds(time), digest),
            source=SOURCE,
            time=time,
            method=method,
            path=path,
            status_code=status,
            route=UNREADABLE if method == "-" else self._route(path),
            url=None if url == path else url,
            consumer=self._find_consumer(line, fields),
            client=Client(
                referer=redact_url(referer)[:TEXT] if referer else None,
                remote_address=read_text(fields.ip, SHORT_TEXT),
                user_agent=read_text(fields.agent, TEXT),
            ),
            request=NO_REQUEST if elapsed is None else Request(elapsed_time=elapsed),
            response=NO_RESPONSE if size is None else Response(content_length=int(size)),
        )

    def _detect(self, line: str) -> Fields:
        for read in FORMATS.values():
            try:
                fields = read(line)
            except ValueError:
                continue
            self._read = read
            return fields
        raise ValueError(f"it is none of {', '.join(FORMATS)}: name the format, or write a pattern")

    def _digest(self, line: str) -> bytes:
        digest = sha256(line.encode())
        key = digest.digest()
        count = self._seen.get(key) or self._seen_before.get(key, 0)
        if len(self._seen) >= GENERATION:
            self._seen, self._seen_before = {}, self._seen
        self._seen[key] = count + 1
        digest.update(b"\0%d" % count)
        return digest.digest()

    def _find_consumer(self, line: str, fields: Fields) -> Consumer | None:
        if self._search is None:
            key = read_text(fields.ip if self._consumer == "ip" else fields.user, SHORT_TEXT)
            return Consumer(key) if key else None
        match = self._search.search(line)
        if match is None or not match[1]:
            return None
        name = PARAMETER.search(line[max(0, match.start(1) - PARAMETER_SPAN) : match.start(1)])
        if name and is_sensitive(name[1]):  # a key or a token: never kept, but told from others
            return Consumer(fingerprint(match[1]))
        return Consumer(match[1][:SHORT_TEXT])


def _request(fields: Fields) -> tuple[str, str]:
    """The method and the target; what is no HTTP request has the method ``-`` and is its own target."""
    line = fields.request
    if line is None:
        line = f"{(fields.method or '-').upper()} {fields.target or '-'}"
    return read_request(line) or ("-", line or "-")


@lru_cache(maxsize=8192)
def _address(target: str) -> tuple[str, str]:
    """The URL without its secrets, and the path of it."""
    url = redact_url(read_text(target, TEXT) or "-")[:TEXT]
    path = ABSOLUTE.sub("", url, count=1) if "://" in url else url
    path = path.partition("?")[0].partition("#")[0]
    return url, path or "/"


def _compile_consumer(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"The consumer {pattern!r} is no regular expression: {error}.") from None
    if not compiled.groups:
        raise ValueError(f"The consumer {pattern!r} has no group: write ip, user, or put (...) around the key.")
    return compiled
