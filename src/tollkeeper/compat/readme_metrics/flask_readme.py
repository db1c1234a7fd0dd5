"""The door of ReadMe Metrics for Flask: ``ReadMeMetrics(MetricsApiConfig(…)).init_app(app)``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import flask
from flask.signals import got_request_exception

from tollkeeper.capture.wsgi import WSGIObserver
from tollkeeper.capture.wsgi_watch import Watch
from tollkeeper.compat.readme_metrics.note import Note, new_log_id, read_caller
from tollkeeper.compat.readme_metrics.recorder import LogRecorder
from tollkeeper.sinks.readme import BASE_URL, ReadMeSink

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.queue import Stats
    from tollkeeper.capture.recorder import Recorder
    from tollkeeper.compat.readme_metrics.config import MetricsApiConfig

__all__ = ["ReadMeMetrics"]

EXTENSION = "tollkeeper.readme_metrics"
SERVER_VARIABLE = "README_METRICS_SERVER"
LINK = "x-documentation-url"


class ReadMeMetrics:
    """Sends the requests of Flask apps and their answers to ReadMe, without ever raising into a request.

    The variable ``README_METRICS_SERVER`` replaces the base of ReadMe's address.

    Raises:
        ConfigurationError: at set-up only, when something in ``config`` or that variable is wrong.
    """

    def __init__(self, config: MetricsApiConfig, app: flask.Flask | None = None) -> None:
        self.config = config
        self._group = config.find_grouping_function()
        self._noted = f"{EXTENSION}.{id(self)}.note"
        self._hosts = frozenset(config.allowed_http_hosts)
        base = os.environ.get(SERVER_VARIABLE) or BASE_URL
        sink = ReadMeSink(config.api_key, base_url=base, development=config.development_mode, timeout=config.timeout)
        self._recorder = LogRecorder(config, sink)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Start to log the requests of ``app``; a second call for the same app changes nothing."""
        watching = app.extensions.setdefault(EXTENSION, [])
        if self in watching:
            return
        watching.append(self)
        recorder = cast("Recorder", self._recorder)  # all of it that the observer asks for
        app.wsgi_app = WSGIObserver(  # type: ignore[method-assign]  # how Flask takes a middleware
            app.wsgi_app,
            recorder,
            app.name,
            self._answering,
            returned=self._recorder.finish_early,
            watch=_Watch,
        )
        app.after_request(self._answered)
        got_request_exception.connect(self._failed, app)

    def flush(self, timeout: float | None = None) -> bool:
        """Send the logs that wait, however few; False when some still wait after ``timeout`` seconds."""
        return self._recorder.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Send the logs that wait and stop; the exit of the process does it too. False when some were lost by that."""
        return self._recorder.close(timeout)

    def stats(self) -> Stats:
        """Count the requests of this process, and what became of their logs."""
        return self._recorder.stats()

    def _answered(self, response: flask.Response) -> flask.Response:
        """Note who called and what is answered, within the request; with ``base_log_url``, tell where the log is."""
        try:
            note = self._note(flask.request.environ)
            if note is not None:
                note.keep_answer(response)
                if self.config.base_log_url:
                    note.identifier = new_log_id()
                    response.headers[LINK] = f"{self.config.base_log_url}/logs/{note.identifier}"
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.trouble(error)
        return response

    def _answering(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        if self._noted not in environ and flask.has_request_context():  # a middleware in between has made a copy
            exchange.note = self._note(flask.request.environ)
        else:
            exchange.note = self._note(environ)
        if exchange.note is not None:
            exchange.response_body = exchange.note.answer  # so that it is not kept twice

    def _failed(self, _app: flask.Flask, **_: object) -> None:
        """Note who called while the request is there: the app may let the server answer."""
        try:
            self._note(flask.request.environ)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.trouble(error)

    def _note(self, environ: WSGIEnvironment) -> Note | None:
        """The note of a request, made once, on its thread; None when it is not to be logged."""
        if self._noted not in environ:
            environ[self._noted] = self._ask(environ)
        note: Note | None = environ[self._noted]
        return note

    def _ask(self, environ: WSGIEnvironment) -> Note | None:
        request = environ.get("werkzeug.request")
        if self._group is None or request is None or environ["REQUEST_METHOD"] == "OPTIONS":
            return None
        if self._hosts and environ.get("HTTP_HOST") not in self._hosts:
            return None
        try:
            caller = read_caller(self._group(request))
        except Exception as error:  # noqa: BLE001 - the host's function may do anything but harm the request
            message = "The grouping function of ReadMe Metrics failed: such requests are not logged."
            self._recorder.log.tell("grouping_function", message, error=error)
            return None
        return None if caller is None else Note.of(caller, environ)


class _Watch(Watch):
    """What a view is told by ``current()``: its id is that of the event of the door outside, where there is one."""

    @property
    def id(self) -> str:
        """As said."""
        return super().id if self.outer is None else self.outer.id
