"""Send events to a Tollkeeper service over HTTP."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - what connecting would import in a thread, which a fork may find in the middle of it
import gzip
import http.client
import logging
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from tollkeeper.errors import SinkError
from tollkeeper.events.codec import encode_batch
from tollkeeper.events.receipt import Receipt
from tollkeeper.events.redaction import redact_url

if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import Message

    from tollkeeper.events.event import UsageEvent

__all__ = ["CollectorSink"]

ENDPOINT = "/v1/events"
MAX_ANSWER_BYTES = 2**20
QUIET_SECONDS = 60.0
AGAIN = frozenset({408, 425, 429})
ADVICE = {
    401: "make a token with `tollkeeper token create --scope ingest` and set TOLLKEEPER_TOKEN",
    403: "the token lacks the scope: make one with `tollkeeper token create --scope ingest`",
    404: "the address must be the root of a Tollkeeper service",
}

_receipt = msgspec.json.Decoder(Receipt)


class CollectorSink:
    """Posts batches to ``{url}/v1/events`` over one kept-alive connection; a batch that is too large is halved.

    ``rejected`` counts the events that the service refused one by one; they are logged, never sent again.
    """

    def __init__(self, url: str, *, token: str = "", timeout: float = 10.0) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/") + ENDPOINT
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{self._path}"
        self._headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None
        self._pid = 0
        self._quiet_until = 0.0
        self.rejected = 0

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Post a batch, in halves when the service finds it too large.

        Raises:
            SinkError: network, 429 and 5xx are to be retried, after ``Retry-After``; any other refusal is final.
        """
        waiting = [list(events)]
        while waiting:
            batch = waiting.pop()
            if not batch:
                continue
            status, headers, body = self._post(gzip.compress(encode_batch(batch), compresslevel=1, mtime=0))
            if status == http.client.REQUEST_ENTITY_TOO_LARGE:
                if len(batch) == 1:
                    self._reject(1, "a single event is too large for the service")
                else:
                    middle = len(batch) // 2
                    waiting += [batch[middle:], batch[:middle]]
            elif http.client.OK <= status < http.client.MULTIPLE_CHOICES:
                self._check(body, len(batch))
            else:
                raise self._refusal(status, headers, body)

    def close(self) -> None:
        """Close the connection; a later ``send`` opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _post(self, body: bytes) -> tuple[int, Message, bytes]:
        if self._pid != os.getpid():  # after a fork the parent goes on with the connection; ours is a new one
            self._connection, self._pid = None, os.getpid()
        fresh = self._connection is None
        try:
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if fresh or isinstance(error, TimeoutError):
                raise SinkError(f"{self._shown} does not answer: {error!r}. Is the service running?") from error
        return self._post(body)  # the service may have closed an idle connection: a new one decides

    def _exchange(self, body: bytes) -> tuple[int, Message, bytes]:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=self._timeout)
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        answer = response.read(MAX_ANSWER_BYTES)
        if not response.isclosed():  # longer than any answer of ours: do not read on, do not reuse
            self.close()
        return response.status, response.headers, answer

    def _check(self, body: bytes, sent: int) -> None:
        try:
            receipt = _receipt.decode(body)
        except msgspec.MsgspecError as error:
            raise SinkError(f"{self._shown} answers without a receipt ({error}): is it a Tollkeeper service?") from None
        if receipt.received != sent or receipt.stored + receipt.duplicate + receipt.rejected != sent:
            raise SinkError(f"{self._shown} took {receipt.received} of {sent} events: the batch is sent again.")
        if receipt.rejected:
            first = receipt.errors[0] if receipt.errors else None
            self._reject(receipt.rejected, f"{first.code}: {first.detail}" if first else "no reason given")

    def _reject(self, count: int, why: str) -> None:
        self.rejected += count
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            message = "%s rejected events, %d so far; the last one for: %s"
            with suppress(Exception):  # a handler of the host may fail
                logging.getLogger("tollkeeper").warning(message, self._shown, self.rejected, why)

    def _refusal(self, status: int, headers: Message, body: bytes) -> SinkError:
        if status in AGAIN or status >= http.client.INTERNAL_SERVER_ERROR:
            return SinkError(f"{self._shown} answers {status}.", retry_after=_seconds(headers.get("Retry-After")))
        place = headers.get("Location")
        if place and status < http.client.BAD_REQUEST:  # not followed: the token is for nobody else
            advice = f"it has moved to {redact_url(place)}: set that as the sink"
        else:
            advice = ADVICE.get(status, body[:200].decode("utf-8", "replace"))
        return SinkError(f"{self._shown} answers {status}: {advice}.", retry=False)


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a ``Retry-After``, which is a number or a date."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
