"""One kept-alive HTTP connection to one address, and what the answers on it mean for a batch."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - what connecting would import in a thread, which a fork may find in the middle of it
import http.client
import os
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.events.redaction import redact_text, redact_url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "Connection", "checked_headers", "refusal"]

WANTED = "https://HOST:PORT/PATH, percent-encoded"
SENDABLE = re.compile(r"[!-~]+")
HEADER_NAME, HEADER_VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"[\t -~\xa0-\xff]*")
MAX_ANSWER_BYTES = 2**20
MAX_SHOWN_BYTES = 200
AGAIN = frozenset({408, 425, 429})
# The address or the credentials are wrong, not the events: they wait until somebody has put that right.
FOR_THE_OPERATOR = frozenset({*range(300, 400), 401, 403, 404, 407})


class Answer(Struct, frozen=True):
    """What came back: the status, the two headers that say what to do next, and the body."""

    status: int
    location: str = ""
    retry_after: str = ""
    body: bytes = b""


class Connection:
    """Sends requests to ``url``, whose credentials it neither sends nor shows; opened at first use and after a fork.

    ``shown`` is the address for messages. Not for several threads at once.
    """

    def __init__(self, url: str, *, timeout: float, hint: str = "Is it running?", show_path: bool = True) -> None:
        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError:  # its text may quote the URL
            raise ConfigurationError(f"The sink's URL cannot be read: use {WANTED}.") from None
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host = parts.hostname or ""
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.shown = _origin(url) + (redact_url(self._target) if show_path else "")
        if parts.scheme not in {"http", "https"} or not self._host or not SENDABLE.fullmatch(self._target):
            raise ConfigurationError(f"The sink's URL has no host, or a path that cannot be sent: use {WANTED}.")
        self._timeout = timeout
        self._hint = hint
        self._connection: http.client.HTTPConnection | None = None
        self._pid = 0

    def request(self, method: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a request and wait for its answer; once more on a new connection when a kept one turns out to be dead.

        Raises:
            SinkError: nobody answers; to be retried.
        """
        if self._pid != os.getpid():  # after a fork the parent goes on with the connection; ours is a new one
            self._connection, self._pid = None, os.getpid()
        fresh = self._connection is None
        try:
            return self._exchange(method, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if fresh or isinstance(error, TimeoutError):
                raise SinkError(f"{self.shown} does not answer: {error!r}. {self._hint}") from error
        return self.request(method, body, headers)  # an idle connection may have been closed: a new one decides

    def close(self) -> None:
        """Close the connection; a later request opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _exchange(self, method: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if self._connection is None:
            self._connection = self._kind(self._host, self._port, timeout=self._timeout)
        self._connection.request(method, self._target, body, dict(headers))
        response = self._connection.getresponse()
        answer = _read(response, time.monotonic() + self._timeout)
        if not response.isclosed():  # longer than any answer that is read: do not read on, do not reuse
            self.close()
        told = response.headers
        return Answer(response.status, told.get("Location", ""), told.get("Retry-After", ""), answer)


def _read(response: http.client.HTTPResponse, until: float) -> bytes:
    """Read an answer as it comes: one that came drop by drop would never meet the timeout, which is that of a drop."""
    expected = response.length
    parts: list[bytes] = []
    size = 0
    while size < MAX_ANSWER_BYTES and size != expected:
        part = response.read1(MAX_ANSWER_BYTES - size)
        if not part:
            break
        parts.append(part)
        size += len(part)
        if time.monotonic() > until:
            raise TimeoutError("the answer has no end in time")
    if size == expected:
        response.close()  # read1 does not say so; the connection stays
    return b"".join(parts)


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers that can be sent as they are; what HTTP libraries say of others would show the secrets in them.

    Raises:
        ConfigurationError: a name or a value, which is not shown, holds what no header may.
    """
    for name, value in headers.items():
        if not (HEADER_NAME.fullmatch(name) and HEADER_VALUE.fullmatch(value)):
            raise ConfigurationError(f"The header {name!r} cannot be sent: is there a line break in its value?")
    return dict(headers)


def refusal(shown: str, answer: Answer, advice: Mapping[int, str] | None = None) -> SinkError:
    """The error for an answer that is no success.

    408, 425, 429 and 5xx pass by themselves; a redirect, 401, 403, 404 and 407 when the operator acts; others stay.
    """
    status = answer.status
    if status in AGAIN or status >= http.client.INTERNAL_SERVER_ERROR:
        return SinkError(f"{shown} answers {status}.", retry_after=_seconds_of(answer.retry_after))
    if answer.location and status < http.client.BAD_REQUEST:  # not followed: what is sent is for nobody else
        why = f"it has moved to {_origin(answer.location)}: set that as the sink"
    else:
        why = (advice or {}).get(status) or redact_text(answer.body[:MAX_SHOWN_BYTES].decode("utf-8", "replace"))
    return SinkError(f"{shown} answers {status}: {why}.", retry=status in FOR_THE_OPERATOR)


def _seconds_of(retry_after: str) -> float | None:
    """Seconds of a ``Retry-After``, which is a number or a date."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "another address"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "another path"
