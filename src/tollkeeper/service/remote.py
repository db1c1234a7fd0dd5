"""Hand batches to a service that runs elsewhere, and do not give up at the first trouble."""

from __future__ import annotations

import gzip
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from tollkeeper.errors import AuthenticationError, ConfigurationError, PermissionDeniedError, SinkError, TollkeeperError
from tollkeeper.events.codec import DecodedBatch, encode_batch
from tollkeeper.events.receipt import EventError, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["remote_delivery"]

TIMEOUT = 60.0
ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
BUSY = frozenset({429, 502, 503, 504})
TOO_LARGE = 413
OK, UNAUTHORIZED = 200, 401

_receipt = msgspec.json.Decoder(Receipt)


class _Problem(msgspec.Struct):
    detail: str


class _Answer(msgspec.Struct):
    status: int
    body: bytes
    retry_after: float | None


def remote_delivery(
    url: str, token: str, *, sleep: Callable[[float], object] = time.sleep
) -> Callable[[DecodedBatch], Receipt]:
    """Build the delivery that posts to ``{url}/v1/events``; sending a batch again is safe, its ids are its own.

    While the service is busy or away, a batch is sent again for about a minute; one that is too large goes in halves.
    Redirects are not followed, so the token goes nowhere else.

    Raises:
        ConfigurationError: the address is not one of http or https.
        AuthenticationError, PermissionDeniedError, SinkError: by the delivery, when the service does not take it.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"{url!r} is not the address of a service: write http://HOST:PORT or https://HOST.")

    def deliver(batch: DecodedBatch) -> Receipt:
        body = gzip.compress(encode_batch(batch.events), compresslevel=3)
        answer = _send_until_taken(url, token, body, sleep)
        if answer.status == TOO_LARGE and len(batch.events) > 1:
            return _in_halves(batch, deliver)
        return _read(answer, url, token)

    return deliver


def _in_halves(batch: DecodedBatch, deliver: Callable[[DecodedBatch], Receipt]) -> Receipt:
    middle = len(batch.events) // 2
    halves = batch.events[:middle], batch.events[middle:]
    one, two = (deliver(DecodedBatch(len(events), events, [])) for events in halves)
    return Receipt(
        received=one.received + two.received,
        stored=one.stored + two.stored,
        duplicate=one.duplicate + two.duplicate,
        rejected=one.rejected + two.rejected,
        errors=one.errors + [EventError(error.index + middle, error.code, error.detail) for error in two.errors],
    )


def _send_until_taken(url: str, token: str, body: bytes, sleep: Callable[[float], object]) -> _Answer:
    wait = FIRST_WAIT
    for attempt in range(1, ATTEMPTS + 1):
        trouble: str
        asked: float | None = None
        try:
            answer = _send(url, token, body)
        except (OSError, HTTPException) as error:
            trouble = f"{type(error).__name__}: {error}"
        else:
            if answer.status not in BUSY:
                return answer
            trouble, asked = f"status {answer.status}", answer.retry_after
        if attempt < ATTEMPTS:
            sleep(min(asked if asked is not None else wait, LONGEST_WAIT))
            wait = min(wait * 2, LONGEST_WAIT)
    raise SinkError(f"{url} does not take events after {ATTEMPTS} attempts ({trouble}): see that it runs, then repeat.")


def _send(url: str, token: str, body: bytes) -> _Answer:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        connection.request("POST", f"{parts.path.rstrip('/')}/v1/events", body, headers)
        response = connection.getresponse()
        return _Answer(response.status, response.read(), _retry_after(response))
    finally:
        connection.close()


def _retry_after(response: HTTPResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _read(answer: _Answer, url: str, token: str) -> Receipt:
    if answer.status == OK:
        try:
            return _receipt.decode(answer.body)
        except msgspec.MsgspecError:
            raise SinkError(f"{url} answers, but not as Tollkeeper does: correct the address.", retry=False) from None
    if answer.status == UNAUTHORIZED and not token:
        raise AuthenticationError(f"{url} asks for a token. Give --token or TOLLKEEPER_TOKEN, of the scope ingest.")
    detail = f"{url} answers {answer.status}: {_detail(answer.body)}"
    kinds: dict[int, type[TollkeeperError]] = {UNAUTHORIZED: AuthenticationError, 403: PermissionDeniedError}
    if kind := kinds.get(answer.status):
        raise kind(f"{detail.rstrip('.')}. Give a token of the scope ingest.")
    raise SinkError(detail, retry=False)


def _detail(body: bytes) -> str:
    """What a problem document says; of any other answer the beginning."""
    try:
        return msgspec.json.decode(body, type=_Problem).detail
    except msgspec.MsgspecError:
        return body[:200].decode("utf-8", "replace")
