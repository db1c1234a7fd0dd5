"""Post events as JSON to any HTTP endpoint, signed if wanted."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import msgspec

from tollkeeper.errors import ConfigurationError
from tollkeeper.sinks.connection import Connection, checked_headers, refusal
from tollkeeper.sinks.halves import Refused, send_in_halves
from tollkeeper.sinks.rejections import Rejections
from tollkeeper.sinks.webhook import SECRET_PREFIX, Signer, message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["HTTPSink"]

URL = "post+https://HOST/PATH (signed: post+https://:whsec_SECRET@HOST/PATH, with basic auth: post+https://USER:PASSWORD@…)"
HEADERS = {"Content-Type": "application/json", "User-Agent": "tollkeeper"}
SUCCESS = range(200, 300)
TOO_LARGE = 413
ABOUT_ONE_EVENT = frozenset({400, 422})


class HTTPSink:
    """Sends each batch as one request: a JSON array of events, or what ``payload`` makes of the batch.

    ``payload`` gives any JSON value, or ready bytes for which ``headers`` say the ``Content-Type``. With
    ``one_event_a_request`` the default body is one event, and ``payload`` is called with a batch of one. ``secrets``
    (``whsec_…``) sign by Standard Webhooks. ``Idempotency-Key`` and ``webhook-id`` are the same each time that the same
    events are sent, and so tell the receiver what it has already. ``success`` are the statuses that mean: taken.
    """

    def __init__(
        self,
        url: str,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        payload: Callable[[Sequence[UsageEvent]], Any] | None = None,
        one_event_a_request: bool = False,
        secrets: Iterable[str] = (),
        success: Container[int] = SUCCESS,
        timeout: float = 10.0,
    ) -> None:
        if method not in {"POST", "PUT"}:
            raise ConfigurationError(f"Events cannot be sent by {method!r}: use POST or PUT.")
        hint = "Is the address right, and does somebody listen there?"
        # Whoever knows such a path may often post to it: it is shown nowhere.
        self._connection = Connection(url, timeout=timeout, hint=hint, show_path=False)
        self._method = method
        given = checked_headers(headers or {})
        named = {name.lower() for name in given}
        self._headers = {name: value for name, value in HEADERS.items() if name.lower() not in named} | given
        self._single = one_event_a_request
        self._payload = payload or self._documents
        self._signer = Signer(secrets)
        self._success = success
        self._rejections = Rejections(self._connection.shown)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make it from ``post+https://HOST/PATH``; a password that begins with ``whsec_`` signs, others log in.

        Raises:
            ConfigurationError: the URL is of another form.
        """
        prefix, plus, address = url.partition("+")
        if prefix != "post" or not plus:
            raise ConfigurationError(f"The URL of an HTTP sink must look like {URL}.")
        try:
            parts = urlsplit(address)
        except ValueError:
            raise ConfigurationError(f"The URL of an HTTP sink must look like {URL}.") from None
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        if not user and password.startswith(SECRET_PREFIX):
            return cls(bare, secrets=[password])
        if user or password:
            login = base64.b64encode(f"{user}:{password}".encode()).decode()
            return cls(bare, headers={"Authorization": f"Basic {login}"})
        return cls(bare)

    @property
    def rejected(self) -> int:
        """Events that the endpoint refused one by one, since this sink was made."""
        return self._rejections.count

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Send a batch; in halves when it is too large for the endpoint.

        Counted as rejected is an event of which no payload can be made, which is too large alone, or which was sent
        alone, as by ``one_event_a_request``, and refused with 400 or 422.

        Raises:
            SinkError: network, 408, 425, 429 and 5xx are to be retried, after ``Retry-After``; others are final.
        """
        parts = [[event] for event in events] if self._single else [events]
        send_in_halves(parts, self._send, self._rejections)

    def close(self) -> None:
        """Close the connection; a later ``send`` opens it again."""
        self._connection.close()

    def _send(self, batch: Sequence[UsageEvent]) -> Refused | None:
        try:
            made = self._payload(batch)
            body = made if isinstance(made, bytes) else msgspec.json.encode(made)
        except Exception as error:  # noqa: BLE001 - the function is the user's, and so is what is in an event
            return Refused(f"no payload can be made of it ({type(error).__name__})")
        identifier = message_id(batch)
        headers = self._headers | {"Idempotency-Key": identifier} | self._signer.headers(identifier, body)
        answer = self._connection.request(self._method, body, headers)
        if answer.status in self._success:
            return None
        if answer.status == TOO_LARGE:
            return Refused("a single event is too large for the endpoint")
        refused = refusal(self._connection.shown, answer)
        if self._single and answer.status in ABOUT_ONE_EVENT:
            return Refused(str(refused))
        raise refused

    def _documents(self, batch: Sequence[UsageEvent]) -> UsageEvent | Sequence[UsageEvent]:
        return batch[0] if self._single else batch
