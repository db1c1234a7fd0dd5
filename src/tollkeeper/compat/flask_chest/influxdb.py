"""A chest that is a bucket of InfluxDB 2."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tollkeeper.compat.flask_chest.chest import FlaskChest
from tollkeeper.compat.flask_chest.values import to_field
from tollkeeper.errors import ConfigurationError, SinkError
from tollkeeper.events.redaction import redact_text
from tollkeeper.sinks.driver import import_driver

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence

    from flask import Flask

    from tollkeeper.compat.flask_chest.chest import Variable

__all__ = ["FlaskChestInfluxDB"]

MAX_TOLD = 300
# The line protocol has no way to write a backslash before one of these: what it ends would go on.
UNSAFE_BACKSLASH = re.compile(r"\\(?=[\\,= ]|\Z)")


class FlaskChestInfluxDB(FlaskChest):
    """Writes each variable as a point: its measurement is the name, its field ``value``, its tags ``request_id``, too.

    Without ``url`` it is made of ``https``, ``host`` and ``port``. None has no field in InfluxDB and is left out. A
    connection that the server ended is made anew; to write a point twice leaves one.

    Raises:
        ConfigurationError: influxdb-client is missing, or ``url`` is none.
    """

    def __init__(  # noqa: PLR0917 - the signature that is replaced
        self,
        url: str | Flask | None = None,
        token: str | None = "",
        org: str = "my-org",
        bucket: str = "my-bucket",
        custom_tags: Mapping[str, str] | None = None,
        logger: logging.Logger | None = None,
        *,
        app: Flask | None = None,
        https: bool = False,
        host: str = "localhost",
        port: int = 8086,
        timeout: float = 10.0,
    ) -> None:
        if url is not None and not isinstance(url, str):  # Flask-Chest has the app in the first place
            url, app = None, url
        super().__init__(app, logger=logger)
        self.db_uri = url or f"{'https' if https else 'http'}://{host}:{port}"
        if not self.db_uri.startswith(("http://", "https://")):
            raise ConfigurationError("The url of a FlaskChestInfluxDB must be http://HOST:8086 or https://HOST:8086.")
        self.org, self.bucket = org, bucket
        self.custom_tags = dict(custom_tags or {})
        self._driver = import_driver("influxdb_client", "influxdb")
        self._errors = (import_driver("urllib3.exceptions", "influxdb").HTTPError, OSError)
        self._token = token or ""
        self._timeout = int(1000 * timeout)
        self._clients: dict[int, Any] = {}

    def to_dict(self) -> dict[str, Any]:
        """Describe the chest without its token."""
        return {
            "type": "influxdb",
            "db_uri": self._shown(),
            "bucket": self.bucket,
            "org": self.org,
            "custom_tags": self.custom_tags,
        }

    def write(self, context_tuple_list: Sequence[Variable]) -> None:
        """Write the points in one request, with one time.

        Raises:
            SinkError: the server cannot be reached or refuses, a name cannot be one there, or a value no JSON.
        """
        now = time.time_ns()
        points = [
            {
                "measurement": _measurement(name),
                "tags": {"request_id": UNSAFE_BACKSLASH.sub("/", request_id), **self.custom_tags},
                "fields": {"value": field},
                "time": now,
            }
            for name, value, request_id in context_tuple_list
            if (field := to_field(name, value)) is not None
        ]
        if not points:
            return
        failure = self._send(points)
        if failure:
            raise SinkError(f"InfluxDB at {self._shown()} did not take the variables: {failure}")
        self.logger.debug("Wrote %d points to InfluxDB at %s.", len(points), self._shown())

    def close(self) -> None:
        """Close the connections of this process."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            with suppress(Exception):
                client.close()

    def _send(self, points: list[dict[str, Any]]) -> str:
        """Return why they were not taken, "" when they were; errors of the driver may hold what must not be told."""
        for is_last in (False, True):
            try:
                writer = self._client().write_api(write_options=self._driver.client.write_api.SYNCHRONOUS)
                writer.write(bucket=self.bucket, org=self.org, record=points)
            except self._driver.rest.ApiException as error:
                said = redact_text(str(error.body or error.reason or "")[:MAX_TOLD])
                return f"it answers {error.status} ({said}). Check token, org, bucket and the types of the values."
            except self._errors as error:
                if is_last or "timed out" in str(error).lower():
                    return f"{type(error).__name__}. Is it running, and can it be reached from here?"
                # It may have been a connection that the server had ended: the next one is new.
            else:
                break
        return ""

    def _client(self) -> Any:
        # By process, because the child of a fork must not use the connections of its parent.
        client = self._clients.get(os.getpid())
        if client is None:
            made = self._driver.InfluxDBClient(url=self.db_uri, token=self._token, org=self.org, timeout=self._timeout)
            client = self._clients.setdefault(os.getpid(), made)
        return client

    def _shown(self) -> str:
        scheme, mark, rest = self.db_uri.partition("//")
        return redact_text(scheme + mark + rest.rpartition("@")[2])


def _measurement(name: str) -> str:
    if not name or name.startswith("#"):  # which InfluxDB would take for a comment, and say that all is well
        raise SinkError(f"InfluxDB has no measurement {name!r}: give the variable another name.", retry=False)
    return UNSAFE_BACKSLASH.sub("/", name)
