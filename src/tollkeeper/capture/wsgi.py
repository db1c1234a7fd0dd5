"""Observe any WSGI application: what every door onto WSGI shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.capture.current import exchange_in_hand
from tollkeeper.capture.environ import ENVIRON_KEY
from tollkeeper.capture.wsgi_answers import SizedAnswer
from tollkeeper.capture.wsgi_watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.recorder import Recorder

__all__ = ["WSGIObserver"]


class WSGIObserver:
    """Wraps an application and records each of its requests.

    ``answering`` adds what only the framework knows, the route, when the answer starts or the app raises. ``returned``
    is asked when the app has returned: True says that all is known and recorded, so that nobody follows the answer.
    The bytes, headers, exceptions and timing of the application pass unchanged. Nothing of ours raises into it.
    """

    def __init__(
        self,
        app: WSGIApplication,
        recorder: Recorder,
        source: str,
        answering: Callable[[Exchange, WSGIEnvironment], None],
        *,
        returned: Callable[[Watch, Iterable[bytes]], bool] | None = None,
        watch: type[Watch] | None = None,
    ) -> None:
        self.recorder = recorder
        self.log = recorder.log
        self.source = source
        self.answering = answering
        self._app = app
        self._keeps_details = recorder.keeps_details
        self._returned = returned
        self._watch = watch or Watch

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does."""
        watch = None
        try:
            watch = self._watch(self, environ, start_response)
            environ[ENVIRON_KEY] = watch
            exchange_in_hand.set(watch)
            if self._keeps_details or "HTTP_TRANSFER_ENCODING" in environ:
                watch.read_along(environ, self.recorder)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            if watch is None:
                self.recorder.fail(error)
            else:
                watch.lose(error)
                watch.begin = None
            return self._app(environ, start_response)
        try:
            result = self._app(environ, watch.start)
        except BaseException as error:
            watch.over(error)
            raise
        try:
            if self._returned is not None and self._returned(watch, result):
                return result
            wrapper = environ.get("wsgi.file_wrapper")
            if isinstance(wrapper, type) and isinstance(result, wrapper) and watch.follow_file(result):
                return result
            watch.iterable = result
            return SizedAnswer(watch, result) if hasattr(result, "__len__") else watch  # type: ignore[arg-type]  # it has
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            watch.lose(error)
            return result
