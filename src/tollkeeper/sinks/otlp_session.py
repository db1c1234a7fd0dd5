"""The HTTP session that is lent to OpenTelemetry's exporter, to see what it does not tell."""

from __future__ import annotations

from typing import Any

from tollkeeper.errors import SinkError
from tollkeeper.sinks.connection import MAX_ANSWER_BYTES, Answer
from tollkeeper.sinks.driver import import_driver

__all__ = ["Attempt"]

SUCCESS = range(200, 300)


class Attempt:
    """Keeps the last ``answer`` or ``failure`` on its ``session``, and makes the exporter stop at the first failure.

    The exporter itself would wait and try again, which is the queue's to do, and tell nobody what the service said.
    """

    def __init__(self, shown: str) -> None:
        requests = import_driver("requests", "otlp")
        self.session = requests.Session()
        self._errors = requests.RequestException
        self._request = self.session.request
        self.session.request = self._once
        self._shown = shown
        self.answer: Answer | None = None
        self.failure: SinkError | None = None

    def reset(self) -> None:
        """Forget what was, before the exporter begins."""
        self.answer = self.failure = None

    def _once(self, *args: Any, **options: Any) -> Any:
        """Send a request, not following redirects.

        Raises:
            SinkError: nobody answers, or the answer is no success.
        """
        options |= {"allow_redirects": False, "stream": True}
        try:
            with self._request(*args, **options) as response:
                body = next(response.iter_content(MAX_ANSWER_BYTES), b"")
        except self._errors as error:
            self.failure = SinkError(
                f"{self._shown} does not answer: {type(error).__name__}. Is the collector running?"
            )
            raise self.failure from error
        told = response.headers
        self.answer = Answer(response.status_code, told.get("Location", ""), told.get("Retry-After", ""), body)
        if response.status_code not in SUCCESS:
            raise SinkError(f"{self._shown} answers {response.status_code}.")
        return response
