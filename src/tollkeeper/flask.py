"""The door for Flask: ``Tollkeeper(app, sink="sqlite:///usage.db")`` records every request of an app."""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import flask
from flask.signals import got_request_exception, request_finished

from tollkeeper.capture.exchange import error_text
from tollkeeper.capture.identify import as_consumer
from tollkeeper.capture.queue import QueueLimits, Stats
from tollkeeper.capture.recorder import CaptureOptions, Level, Recorder
from tollkeeper.capture.wsgi import ENVIRON_KEY, WSGIObserver
from tollkeeper.errors import ConfigurationError
from tollkeeper.settings import SETTINGS, Settings, load_settings
from tollkeeper.sinks.url import sink_from_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed.wsgi import WSGIEnvironment

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.events.event import Consumer
    from tollkeeper.sinks.base import Sink

    Identify = Callable[[flask.Request], Consumer | Mapping[str, object] | str | None]
    Described = str | Callable[[flask.Request], str | None] | None

__all__ = ["Tollkeeper"]

EXTENSION = "tollkeeper"
_logger = logging.getLogger("tollkeeper")
_variable = re.compile(r"<(?:[a-zA-Z_]\w*(?:\(.*?\))?:)?([a-zA-Z_]\w*)>")


class Tollkeeper:
    """Records the requests of Flask apps into a sink, without ever raising into a request or changing a response.

    ``sink`` is a URL or a Sink; without it, ``TOLLKEEPER_SINK`` of the app's config or of the environment; with none
    of them a warning is logged once and nothing is recorded. ``identify`` gets the request when its answer is ready, in
    its context, and returns None, a key, a dict with ``key``, ``label``, ``email``, ``group``, or a Consumer. ``api``
    and ``api_version`` are texts or functions of the request. The app's config may hold any ``TOLLKEEPER_*`` setting.

    Raises:
        ConfigurationError: at set-up only, when an argument, a setting or the sink's URL is wrong.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        sink: str | Sink | None = None,
        identify: Identify | None = None,
        capture: Level = "bodies",
        max_body_bytes: int = 16 * 2**10,
        source: str | None = None,
        api: Described = None,
        api_version: Described = None,
        deny: tuple[str, ...] = (),
        trust_proxy: bool = False,
    ) -> None:
        if capture not in {"metadata", "headers", "bodies"}:
            raise ConfigurationError(f"capture is {capture!r}: make it 'metadata', 'headers' or 'bodies'.")
        self._options = CaptureOptions(
            level=capture, max_body_bytes=max_body_bytes, deny=tuple(deny), trust_proxy=trust_proxy
        )
        self._asked = {"consumer": identify, "api": api, "api_version": api_version}
        self._source = source
        self._recorder: Recorder | None = None
        self.sink: Sink | str | None = sink
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Start to record the requests of ``app``; a second call for the same app changes nothing."""
        present = app.extensions.get(EXTENSION)
        if present is not None:
            if present is not self and self._recorder is None:
                _logger.warning("Tollkeeper records %r already: what the second one was given is ignored.", app.name)
                self._recorder, self.sink = present._recorder, present.sink  # noqa: SLF001 - the same class
            return
        app.extensions[EXTENSION] = self
        recorder = self._recorder or self._record(app)
        if recorder is None:
            return
        self._recorder = recorder
        app.wsgi_app = WSGIObserver(  # type: ignore[method-assign]  # how Flask takes a middleware
            app.wsgi_app, recorder, self._source or app.name, self._matched
        )
        got_request_exception.connect(self._failed, app)
        if any(callable(asked) for asked in self._asked.values()):
            request_finished.connect(self._finished, app)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the requests so far have been delivered; False when some still wait after ``timeout`` seconds."""
        return self._recorder is None or self._recorder.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what waits and stop; the exit of the process does it too. False when something was lost by that."""
        return self._recorder is None or self._recorder.close(timeout)

    def stats(self) -> Stats:
        """Count what this process captured, and what became of it."""
        return Stats() if self._recorder is None else self._recorder.stats()

    def _record(self, app: flask.Flask) -> Recorder | None:
        settings = load_settings(**{row.name: app.config.get(row.variable) for row in SETTINGS})
        sink = self.sink or settings.sink
        if not sink:
            _logger.warning("Tollkeeper records nothing: give it a sink, or set TOLLKEEPER_SINK=sqlite:///usage.db.")
            return None
        self.sink = sink_from_url(sink, token=settings.token) if isinstance(sink, str) else sink
        return Recorder(self.sink.send, self.sink.close, self._options, _limits(settings))

    def _matched(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
        if rule is not None:
            exchange.route = environ.get("SCRIPT_NAME", "") + _template(rule.rule)
        for name in ("api", "api_version"):
            asked = self._asked[name]
            if asked is not None and not callable(asked):
                setattr(exchange, name, asked)

    def _failed(self, _app: flask.Flask, *, exception: BaseException, **_: Any) -> None:
        self._guarded(lambda exchange: self._note(exchange, exception))

    def _finished(self, _app: flask.Flask, **_: Any) -> None:
        self._guarded(self._ask)

    def _guarded(self, step: Callable[[Exchange], None]) -> None:
        try:
            exchange = flask.request.environ.get(ENVIRON_KEY)
            if exchange is not None:
                step(exchange)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            if self._recorder is not None:
                self._recorder.log.tell("signal", "Tollkeeper could not complete an event.", error=error)

    def _note(self, exchange: Exchange, exception: BaseException) -> None:
        exchange.exception = error_text(exception)
        self._matched(exchange, flask.request.environ)
        self._ask(exchange)

    def _ask(self, exchange: Exchange) -> None:
        """Ask the functions of the host, once a request, while its context is there; what they raise is logged."""
        recorder = self._recorder
        if exchange.identified or recorder is None:
            return
        request = flask.request.environ["werkzeug.request"]
        for name, asked in self._asked.items():
            if not callable(asked):
                continue
            exchange.identified = exchange.identified or name == "consumer"
            try:
                answer = asked(request)
                setattr(exchange, name, as_consumer(answer) if name == "consumer" else answer)
            except Exception as error:  # noqa: BLE001 - the host's function may do anything but harm the request
                recorder.log.tell(name, "Tollkeeper: the function for %r failed.", name, error=error)


def _limits(settings: Settings) -> QueueLimits:
    return QueueLimits(
        events=settings.queue_events,
        bytes=settings.queue_bytes,
        batch_events=settings.batch_events,
        flush_seconds=settings.flush_seconds,
        shutdown_seconds=settings.shutdown_seconds,
    )


@lru_cache(maxsize=4096)
def _template(rule: str) -> str:
    """``/users/<int:id>`` as ``/users/{id}``."""
    return _variable.sub(r"{\1}", rule)
