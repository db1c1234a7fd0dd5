"""One line in a Flask app, ``embed(app)``: capture, store and dashboard, with no other process."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tollkeeper.errors import MissingDependencyError, SinkError, StoreError, UnprocessableError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.redaction import redact_url
from tollkeeper.settings import Settings, load_settings
from tollkeeper.unhurried import Unhurried

try:
    from a2wsgi import ASGIMiddleware
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    from tollkeeper.api.app import create_app
    from tollkeeper.dashboard.app import dashboard_routes
    from tollkeeper.flask import Tollkeeper
    from tollkeeper.service.beats import start_beats
    from tollkeeper.service.bootstrap import Service, open_service
    from tollkeeper.service.rollups import beats_of
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] == "tollkeeper":
        raise
    raise MissingDependencyError(
        f"{error.name} is not installed. Run: pip install 'tollkeeper[flask,server]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask

    from tollkeeper.events.event import UsageEvent
    from tollkeeper.events.lease import LeaseAnswer, LeaseRequest

__all__ = ["embed"]

HOST_PORT = "(HOST:PORT is where this app runs.)\n"


def embed(app: Flask, *, prefix: str = "/tollkeeper", store: str | None = None, **capture: Any) -> Tollkeeper:
    """Record an app's requests into a store of its own, and show the dashboard below ``prefix``.

    ``store`` is a URL; without it ``TOLLKEEPER_STORE``, else ``tollkeeper.db`` in the app's instance folder.
    ``capture`` are the arguments of ``tollkeeper.flask.Tollkeeper``. On an empty store a one-time login link is
    printed. Requests below ``prefix`` are not recorded. Call it last: what wraps the app later is not seen by it.

    Raises:
        ConfigurationError, StoreError: the store cannot be opened; nothing is changed then.
    """
    default = f"sqlite:///{Path(app.instance_path) / 'tollkeeper.db'}"
    settings = load_settings(store=store or os.environ.get("TOLLKEEPER_STORE") or default)
    if settings.store == default:
        Path(app.instance_path).mkdir(parents=True, exist_ok=True)
    _greet(settings, prefix)
    parts = _PartsOfProcess(settings)
    tollkeeper = Tollkeeper(app, sink=_StoreSink(parts, settings.store), **capture)
    app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]  # how Flask takes a middleware
        app.wsgi_app, {prefix: parts.show}
    )
    return tollkeeper


class _Parts(Struct, frozen=True, eq=False):
    process: int
    service: Service
    dashboard: Any


class _PartsOfProcess:
    """What each process needs for itself, made when it is first used there: threads and connections survive no fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._parts: _Parts | None = None
        os.register_at_fork(after_in_child=self._forget)

    def get(self) -> _Parts:
        """The parts of this process; raises StoreError when the store cannot be opened."""
        with self._lock:
            if self._parts is None or self._parts.process != os.getpid():
                service = open_service(self._settings)
                start_beats(beats_of(service))
                application: Any = create_app(service, dashboard_routes(service))
                dashboard = ASGIMiddleware(application)
                self._parts = _Parts(os.getpid(), service, dashboard)
            return self._parts

    def show(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request below the prefix."""
        answer: Iterable[bytes] = self.get().dashboard(environ, start_response)
        return answer

    def _forget(self) -> None:
        # Another thread may have held the lock at the fork; nobody in the child would ever release it.
        self._lock = threading.Lock()


class _StoreSink:
    """The sink of an embedded app, and its gate's leases: straight from and into the store, with no HTTP between."""

    def __init__(self, parts: _PartsOfProcess, store: str) -> None:
        self._parts = parts
        self.place = redact_url(store)

    def leases(self, _seconds: float) -> _StoreSink:
        """Take leases where events go."""
        return self

    def exchange(self, request: LeaseRequest) -> LeaseAnswer:
        """Settle and take leases; see ``Leases``."""
        return self._parts.get().service.gate.exchange(request)

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Store a batch; see ``Sink``."""
        try:
            # The store makes rows of them, in the process of the app.
            batch = DecodedBatch(len(events), Unhurried(events), [])
            self._parts.get().service.events.append([("embedded", batch)])
        except StoreError as error:
            raise SinkError(error.detail) from error

    def close(self) -> None:
        """Leave the store open: the dashboard reads it as long as the process lives."""


def _greet(settings: Settings, prefix: str) -> None:
    # Beside an app nobody runs commands: a file of an earlier release is brought to this one's schema here.
    service = open_service(settings, upgrade=settings.store.startswith("sqlite:"))
    try:
        if not service.catalog.tokens():
            # Workers that start at the same moment all find the store empty; one of them makes the token.
            with contextlib.suppress(UnprocessableError):
                service.access.create_token("admin", "admin")
            code = service.access.create_login_link(service.catalog.tokens()[0])
            port = os.environ.get("FLASK_RUN_PORT")
            place = f"127.0.0.1:{port}" if port else "HOST:PORT"
            sys.stderr.write(
                f"\nTollkeeper: log in to the dashboard, once and within {settings.login_link_minutes} minutes:\n"
                f"http://{place}{prefix}/login/{code}\n{'' if port else HOST_PORT}\n"
            )
    finally:
        service.close()
