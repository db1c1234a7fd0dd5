"""Take and settle leases of quota at a Tollkeeper service over HTTP."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from tollkeeper.errors import SinkError
from tollkeeper.events.lease import LeaseAnswer
from tollkeeper.sinks.connection import Connection, checked_headers, refusal

if TYPE_CHECKING:
    from tollkeeper.events.lease import LeaseRequest

__all__ = ["LeaseClient"]

ENDPOINT = "/v1/gate/leases"
ADVICE = {
    401: "make a token with `tollkeeper token create --scope ingest` and set TOLLKEEPER_TOKEN",
    403: "the token lacks the scope: make one with `tollkeeper token create --scope ingest`",
    404: "the address must be the root of a Tollkeeper service that has a gate",
}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(LeaseAnswer).decode


class LeaseClient:
    """Posts to ``{url}/v1/gate/leases`` over one kept-alive connection; ``place`` is the address without secrets."""

    def __init__(self, url: str, *, token: str = "", timeout: float = 1.0) -> None:
        endpoint = urlsplit(url)
        endpoint = endpoint._replace(path=endpoint.path.rstrip("/") + ENDPOINT, query="", fragment="")
        self._connection = Connection(endpoint.geturl(), timeout=timeout, hint="Is the service running?")
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        self._headers = checked_headers(headers | ({"Authorization": f"Bearer {token}"} if token else {}))
        self.place = self._connection.shown

    def exchange(self, request: LeaseRequest) -> LeaseAnswer:
        """Settle leases, and take some.

        Raises:
            SinkError: nobody answers, or what answers refuses it, or is no such service.
        """
        answer = self._connection.request("POST", _encode(request), self._headers)
        if not http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES:
            raise refusal(self.place, answer, ADVICE)
        try:
            return _decode(answer.body)
        except msgspec.MsgspecError as error:
            raise SinkError(f"{self.place} answers without leases ({error}): is it a Tollkeeper service?") from None

    def close(self) -> None:
        """Close the connection; a later ``exchange`` opens it again."""
        self._connection.close()
