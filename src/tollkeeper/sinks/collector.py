"""Send events to a Tollkeeper service over HTTP."""

from __future__ import annotations

import gzip
import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from tollkeeper.errors import SinkError
from tollkeeper.events.codec import encode_batch
from tollkeeper.events.receipt import Receipt
from tollkeeper.sinks.connection import Connection, checked_headers, refusal
from tollkeeper.sinks.halves import Refused, send_in_halves
from tollkeeper.sinks.leases import LeaseClient
from tollkeeper.sinks.rejections import Rejections

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["CollectorSink"]

ENDPOINT = "/v1/events"
ADVICE = {
    401: "make a token with `tollkeeper token create --scope ingest` and set TOLLKEEPER_TOKEN",
    403: "the token lacks the scope: make one with `tollkeeper token create --scope ingest`",
    404: "the address must be the root of a Tollkeeper service",
}

_receipt = msgspec.json.Decoder(Receipt)


class CollectorSink:
    """Posts batches to ``{url}/v1/events`` over one kept-alive connection; a batch that is too large is halved.

    ``rejected`` counts the events that the service refused one by one, and those that are no JSON; they are logged,
    never sent again. ``leases(seconds)`` is where a gate takes its leases, with a timeout.
    """

    def __init__(self, url: str, *, token: str = "", timeout: float = 10.0) -> None:
        endpoint = urlsplit(url)
        endpoint = endpoint._replace(path=endpoint.path.rstrip("/") + ENDPOINT, query="", fragment="")
        self._connection = Connection(endpoint.geturl(), timeout=timeout, hint="Is the service running?")
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Accept": "application/json"}
        self._headers = checked_headers(headers | ({"Authorization": f"Bearer {token}"} if token else {}))
        self._rejections = Rejections(self._connection.shown)
        self.leases: Callable[[float], LeaseClient] = lambda seconds: LeaseClient(url, token=token, timeout=seconds)

    @property
    def rejected(self) -> int:
        """Events that were refused one by one, since this sink was made."""
        return self._rejections.count

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Post a batch, in halves when the service finds it too large.

        Raises:
            SinkError: network, 429 and 5xx are to be retried, after ``Retry-After``; any other refusal is final.
        """
        send_in_halves([events], self._post, self._rejections)

    def close(self) -> None:
        """Close the connection; a later ``send`` opens it again."""
        self._connection.close()

    def _post(self, batch: Sequence[UsageEvent]) -> Refused | None:
        try:
            document = encode_batch(list(batch))
        except (ValueError, msgspec.MsgspecError) as error:  # as text with half of a character
            return Refused(f"it is no JSON ({type(error).__name__})")
        body = gzip.compress(document, compresslevel=1, mtime=0)
        answer = self._connection.request("POST", body, self._headers)
        if answer.status == http.client.REQUEST_ENTITY_TOO_LARGE:
            return Refused("a single event is too large for the service")
        if not http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES:
            raise refusal(self._connection.shown, answer, ADVICE)
        return self._check(answer.body, len(batch))

    def _check(self, body: bytes, sent: int) -> Refused | None:
        try:
            receipt = _receipt.decode(body)
        except msgspec.MsgspecError as error:
            shown = self._connection.shown
            raise SinkError(f"{shown} answers without a receipt ({error}): is it a Tollkeeper service?") from None
        if receipt.received != sent or receipt.stored + receipt.duplicate + receipt.rejected != sent:
            took = f"{self._connection.shown} took {receipt.received} of {sent} events"
            raise SinkError(f"{took}: the batch is sent again.")
        if not receipt.rejected:
            return None
        first = receipt.errors[0] if receipt.errors else None
        return Refused(f"{first.code}: {first.detail}" if first else "no reason given", receipt.rejected)
