"""Send events to ReadMe Metrics."""

from __future__ import annotations

import base64
import http.client
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.sinks.connection import Connection, refusal
from tollkeeper.sinks.halves import Refused, send_in_halves
from tollkeeper.sinks.readme_event import log_of_event
from tollkeeper.sinks.readme_log import VERSION
from tollkeeper.sinks.rejections import Rejections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["BASE_URL", "ReadMeSink"]

BASE_URL = "https://metrics.readme.io"
ENDPOINT = "/v1/request"
URL = "readme://KEY@HOST, with ?development=true, ?timeout=SECONDS or ?tls=false"
SWITCH = {"true": True, "false": False}

PAUSE_SECONDS = 15.0
PAUSED_BY = {
    401: "authentication failed, the API key is not valid",
    403: "access denied, the API key is blocked",
    429: "the API key is rate limited",
    500: "it has trouble",
    503: "it has trouble",
}


class ReadMeSink:
    """Posts batches of logs to ``{base_url}/v1/request``; ``development`` keeps them apart from those of production.

    A log that is too large alone is counted as rejected. ReadMe knows a log by its ``_id``, the same each time that an
    event is sent.
    """

    def __init__(
        self, api_key: str, *, base_url: str = BASE_URL, development: bool = False, timeout: float = 3.0
    ) -> None:
        if not api_key:
            raise ConfigurationError("ReadMe Metrics needs an API key: pass the one of your project.")
        if not timeout > 0:
            raise ConfigurationError(f"timeout is {timeout!r}: give seconds, more than 0.")
        hint = "Is it the address of ReadMe Metrics?"
        # The path of the base is left out, as the address of the endpoint begins at the root.
        url = f"{base_url.partition('://')[0]}://{urlsplit(base_url).netloc.rpartition('@')[2]}{ENDPOINT}"
        self._connection = Connection(url, timeout=timeout, hint=hint)
        self._headers = {
            "Authorization": f"Basic {base64.b64encode(f'{api_key}:'.encode()).decode()}",
            "Content-Type": "application/json",
            "User-Agent": f"readme-metrics-python@{VERSION}",
        }
        self._development = development
        self._rejections = Rejections(self._connection.shown)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make it from ``readme://KEY@HOST?development=true``; without a host it is ReadMe's.

        Raises:
            ConfigurationError: the URL is of another form; the message does not hold the key.
        """
        parts = urlsplit(url)
        chosen = dict(parse_qsl(parts.query, keep_blank_values=True))
        place = parts.netloc.rpartition("@")[2]
        try:
            development, tls = (
                SWITCH[chosen.pop(name, default)] for name, default in (("development", "false"), ("tls", "true"))
            )
            timeout = float(chosen.pop("timeout", "3"))
        except (KeyError, ValueError):
            raise ConfigurationError(f"The URL of a ReadMe sink must look like {URL}.") from None
        if parts.scheme != "readme" or not parts.username or chosen or parts.path.strip("/"):
            raise ConfigurationError(f"The URL of a ReadMe sink must look like {URL}.")
        base = f"{'https' if tls else 'http'}://{place}" if place else BASE_URL
        return cls(unquote(parts.username), base_url=base, development=development, timeout=timeout)

    @property
    def rejected(self) -> int:
        """Logs that ReadMe refused one by one, since this sink was made."""
        return self._rejections.count

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Post events as logs; one of which no log can be made is counted as rejected. Raises as ``post`` does."""
        send_in_halves([events], self._send, self._rejections)

    def post(self, logs: Sequence[Any]) -> None:
        """Post logs, each as the bytes of its JSON; in halves while they are too large together.

        Raises:
            SinkError: 401, 403, 429, 500 and 503 are to be retried after a pause of 15 s or ``Retry-After``; what else
                passes, soon; other refusals are final.
        """
        send_in_halves([logs], self._post, self._rejections)

    def close(self) -> None:
        """Close the connection; a later ``send`` opens it again."""
        self._connection.close()

    def _send(self, events: Sequence[UsageEvent]) -> Refused | None:
        try:
            logs = [msgspec.json.encode(log_of_event(event, development=self._development)) for event in events]
        except Exception as error:  # noqa: BLE001 - whatever an event holds, the others are sent
            return Refused(f"no log can be made of it ({type(error).__name__})")
        return self._post(logs)

    def _post(self, logs: Sequence[Any]) -> Refused | None:
        answer = self._connection.request("POST", b"[" + b",".join(logs) + b"]", self._headers)
        if http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES:
            return None
        if answer.status == http.client.REQUEST_ENTITY_TOO_LARGE:
            return Refused("a single log is too large for it")
        refused = refusal(self._connection.shown, answer)
        why = PAUSED_BY.get(answer.status)
        if why is None:
            raise refused
        pause = max(PAUSE_SECONDS, refused.retry_after or 0.0)
        told = f"{self._connection.shown} answers {answer.status}: {why}"
        raise SinkError(f"{told}. The next attempt is in {pause:.0f} s.", retry_after=pause)
