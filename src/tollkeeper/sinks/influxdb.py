"""Write events as points into a bucket of InfluxDB 2, by its client."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.sinks.connection import Answer, checked_headers, refusal
from tollkeeper.sinks.dimensions import choose_dimensions
from tollkeeper.sinks.driver import import_driver
from tollkeeper.sinks.halves import Refused, send_in_halves
from tollkeeper.sinks.line_protocol import checked_measurement, to_lines
from tollkeeper.sinks.rejections import Rejections

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tollkeeper.events.event import UsageEvent

__all__ = ["InfluxDBSink"]

URL = "influxdb+http://:TOKEN@HOST:8086/ORG/BUCKET or influxdb+https://…"
TAGS = ("method", "route", "status_code", "api", "api_version", "source")
PARTIAL = re.compile(r"partial write: .*dropped=(\d+)", re.DOTALL)
ABOUT_THE_DATA = frozenset({400, 413, 422})
MAX_SHOWN = 200
ADVICE = {
    401: "the token is wrong, or may not write to this bucket",
    403: "the token may not write to this bucket",
    404: "there is no such organisation or bucket: make it first",
}


class InfluxDBSink:
    """Writes one point for each event into ``measurement``; a batch that is sent again replaces its own points.

    ``tags`` are the dimensions with few values that one filters and groups by; each value of ``consumer`` makes new
    series, so it is a field unless it is named here. ``rejected`` counts what the database would not take.

    Raises ConfigurationError without influxdb-client, which ``tollkeeper[influxdb]`` installs.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str,
        org: str,
        bucket: str,
        measurement: str = "usage_events",
        tags: Iterable[str] = TAGS,
        timeout: float = 10.0,
    ) -> None:
        self._client_class = import_driver("influxdb_client", "influxdb").InfluxDBClient
        self._errors: type[Exception] = import_driver("urllib3.exceptions", "influxdb").HTTPError
        self._refused: Any = import_driver("influxdb_client.rest", "influxdb").ApiException
        self._synchronous = import_driver("influxdb_client.client.write_api", "influxdb").SYNCHRONOUS
        self._options = {"url": url, "token": token, "org": org, "timeout": int(timeout * 1000), "enable_gzip": True}
        checked_headers({"Authorization": token})
        self._bucket = bucket
        self._measurement = checked_measurement(measurement)
        self._tags = choose_dimensions(tags)
        self._shown = f"{url.rpartition('@')[2]}/{org}/{bucket}"
        self._client: Any = None
        self._pid = 0
        self._rejections = Rejections(self._shown)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make it from ``influxdb+http://:TOKEN@HOST:8086/ORG/BUCKET``, its parts percent-encoded.

        Raises:
            ConfigurationError: the URL is of another form, or the client is not installed.
        """
        prefix, _, address = url.partition("+")
        try:
            parts = urlsplit(address)
            names = [unquote(part) for part in parts.path.strip("/").split("/")]
            fits = prefix == "influxdb" and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            fits, names = False, []
        token = unquote(parts.password or parts.username or "") if fits else ""
        if not (token and len(names) == 2 and all(names)):  # noqa: PLR2004 - the organisation and the bucket
            raise ConfigurationError(f"The URL of an InfluxDB sink must look like {URL}.")
        host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return cls(host, token=token, org=names[0], bucket=names[1])

    @property
    def rejected(self) -> int:
        """Events that the database refused one by one, since this sink was made."""
        return self._rejections.count

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Write a batch, in halves while the database refuses it for its data, until only the bad points are left out.

        Raises:
            SinkError: network, 429 and 5xx are to be retried, after ``Retry-After``; any other refusal is final.
        """
        lines = to_lines(events, self._measurement, self._tags)  # of the whole batch, in which each has its own time
        by_name = {(event.source, event.id): line for event, line in zip(events, lines, strict=True)}
        send_in_halves([events], partial(self._write, by_name), self._rejections)

    def close(self) -> None:
        """Close the connections; a later ``send`` opens them again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _write(self, lines: dict[tuple[str, str], bytes], batch: Sequence[UsageEvent]) -> Refused | None:
        record = b"\n".join(lines[event.source, event.id] for event in batch)
        try:
            self._connected().write(bucket=self._bucket, record=record)
        except self._refused as error:
            if not error.status:  # TLS
                raise SinkError(f"{self._shown} cannot be reached: {error.reason}.") from error
            return self._judge(error)
        except (self._errors, OSError) as error:
            self.close()
            raise SinkError(f"{self._shown} does not answer: {error!r}. Is InfluxDB running?") from error
        return None

    def _judge(self, error: Any) -> Refused:
        """What the answer to data that cannot be taken as it is says of it; raises SinkError for any other."""
        headers = error.headers or {}
        body = error.body or ""
        if error.status in ABOUT_THE_DATA:
            partial_write = PARTIAL.search(body)
            dropped = int(partial_write[1]) if partial_write else 0
            return Refused(f"{error.status} {body[:MAX_SHOWN]}", dropped or None)  # 0 when a line was no line
        answer = Answer(error.status, headers.get("Location", ""), headers.get("Retry-After", ""), body.encode())
        raise refusal(self._shown, answer, ADVICE) from error

    def _connected(self) -> Any:
        if self._pid != os.getpid():  # after a fork the parent goes on with its connections; ours are new ones
            self._client, self._pid = None, os.getpid()
        if self._client is None:
            self._client = self._client_class(**self._options)
        return self._client.write_api(write_options=self._synchronous)
