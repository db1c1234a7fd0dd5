"""Ask the gate about a request as a WSGI environ tells it, and refuse it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tollkeeper.capture.environ import ENVIRON_KEY
from tollkeeper.capture.gate.guard import Asked
from tollkeeper.capture.request import RequestView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tollkeeper.capture.gate.guard import Guard
    from tollkeeper.capture.gate.requirement import Requirement

__all__ = ["WSGIGate", "asked_of"]


def asked_of(environ: Mapping[str, Any], endpoint: str | None, view: Callable[[], Any]) -> Asked:
    """What to ask about a request; ``endpoint`` is its template below the mount."""
    method = environ.get("REQUEST_METHOD") or ""
    return Asked(
        method=method,
        endpoint=None if endpoint is None else f"{(environ.get('SCRIPT_NAME') or '').rstrip('/')}{endpoint}",
        api_key=environ.get("HTTP_X_API_KEY") or environ.get("HTTP_APIKEY"),
        authorization=environ.get("HTTP_AUTHORIZATION"),
        view=view,
        preflight=method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ,
    )


class WSGIGate:
    """A WSGI application that answers as ``app`` does, or refuses the call.

    ``guard`` gives the guard, or None while there is none. ``route`` gives the template of a request; None when it is
    not known before the application has answered.
    """

    def __init__(
        self,
        app: WSGIApplication,
        guard: Callable[[], Guard | None],
        route: Callable[[WSGIEnvironment], str | None],
        wanted: Requirement,
    ) -> None:
        self._app = app
        self._guard = guard
        self._route = route
        self._wanted = wanted

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does, unless the call may not be made."""
        guard = self._guard()
        if guard is None:
            return self._app(environ, start_response)
        verdict = guard.check(lambda: self._asked(environ), environ.get(ENVIRON_KEY), self._wanted)
        refusal = guard.refusal(verdict)
        if refusal is not None:
            start_response(refusal.line, refusal.headers)
            return [] if environ.get("REQUEST_METHOD") == "HEAD" else [refusal.body]
        told = guard.told_limits(verdict)
        return self._app(environ, _telling(start_response, told) if told else start_response)

    def _asked(self, environ: WSGIEnvironment) -> Asked:
        try:
            endpoint = self._route(environ)
        except Exception:  # noqa: BLE001 - it is asked again when the answer starts, and complained of then
            endpoint = None
        return asked_of(environ, endpoint, lambda: RequestView.of_environ(environ))


def _telling(start_response: StartResponse, told: list[tuple[str, str]]) -> StartResponse:
    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
        return start_response(status, [*headers, *told], *exc_info)

    return start
