"""The door for Django: ``MIDDLEWARE = ["tollkeeper.django.Tollkeeper", ...]`` records the requests of a project."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed, SynchronousOnlyOperation
from django.core.signals import got_request_exception
from django.urls import Resolver404, resolve
from msgspec.structs import replace

from tollkeeper.capture.asking import ask, ask_async
from tollkeeper.capture.django_routes import route_template
from tollkeeper.capture.django_watch import Watch
from tollkeeper.capture.dotted import read_functions
from tollkeeper.capture.gate.django_views import DjangoGate, tell_limits
from tollkeeper.capture.gate.requirement import read_requirement
from tollkeeper.door import Door
from tollkeeper.errors import ConfigurationError
from tollkeeper.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from decimal import Decimal

    from tollkeeper.capture.options import CaptureOptions

__all__ = ["Tollkeeper", "keeper", "lifespan"]

OPTIONS = "TOLLKEEPER"
NOT_FOUND = 404
WATCH = "_tollkeeper_watch"

# Django makes middleware of its dotted path, once for each chain: what the chains share has no other place.
_opened: list[tuple[dict[str, Any], _Project]] = []
_opening = threading.RLock()


class _Project(Door):
    """The door of a project, which all of its middleware chains share: those of WSGI, ASGI and the test client."""

    def __init__(self, config: dict[str, Any], options: dict[str, Any]) -> None:
        super().__init__(options.pop("sink", None), options)  # type: ignore[arg-type]  # checked by read_options
        self.options = self._options
        self.source = self._options.source or str(getattr(settings, "ROOT_URLCONF", "django")).partition(".")[0]
        self.recorder = self._open(config)
        self.gate = DjangoGate(lambda: self._guard, WATCH, for_sync=_for_sync, for_async=_for_async)
        got_request_exception.connect(_failed)

    def require_subscription(
        self, *, units: float | str | Decimal = 1, endpoint: str | None = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate a view so that calls of it need a subscription, and count so many ``units`` each.

        ``endpoint`` is a template in the place of the route's. Raises ConfigurationError when there is no service.
        """
        wanted = read_requirement(units, endpoint)
        self._require_gate()
        return self.gate.decorator(wanted)


def keeper() -> _Project:
    """The one of this process, for its ``stats()``, ``flush()`` and ``close()``, and its ``require_subscription()``.

    It is opened with the settings as they are at the first call, which Django makes to load its middleware; other
    settings open another one. Raises ConfigurationError when one of them is wrong.
    """
    return _project()


def _project() -> _Project:
    names = [OPTIONS, *(row.variable for row in SETTINGS)]
    config = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
    options = config.get(OPTIONS, {})
    if not isinstance(options, dict):
        raise ConfigurationError(f"{OPTIONS} is {options!r}: make it a dict of options.")
    config[OPTIONS] = dict(options)
    return _known(config) or _open(config, read_functions(options))


def _known(config: dict[str, Any]) -> _Project | None:
    return next((project for known, project in _opened if known == config), None)


def _open(config: dict[str, Any], options: dict[str, Any]) -> _Project:
    with _opening:
        project = _known(config)
        if project is None:
            project = _Project(config, options)
            _opened.append((config, project))
        return project


def lifespan(application: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Wrap Django's ASGI application so that what waits is delivered when the server shuts down.

    Some servers, uvicorn among them, end by the signal that stopped them, so that no exit handler runs. They announce
    it, but Django by itself does not listen.
    """

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        kind = ""
        while kind != "lifespan.shutdown":
            kind = (await receive())["type"]
            if kind == "lifespan.shutdown":
                with suppress(ConfigurationError):  # which was raised when the middleware was loaded
                    await asyncio.to_thread(keeper().flush)
            await send({"type": f"{kind}.complete"})

    return serve


class Tollkeeper:
    """The middleware, to be the first of all: it records what passes, and never raises into it or changes a response.

    It takes the options of every door from ``TOLLKEEPER``, a dict, with functions as such or by their dotted paths,
    which get the ``HttpRequest`` when its response is ready. Any ``TOLLKEEPER_*`` setting may stand among Django's.
    Without a sink a warning is logged once, and the middleware is left out.

    Raises:
        ConfigurationError: when the middleware is loaded, if an option, a setting or the sink's URL is wrong.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        project = _project()
        if project.recorder is None:
            raise MiddlewareNotUsed("Tollkeeper has no sink.")
        self._get_response = get_response
        self._recorder = project.recorder
        self._source = project.source
        self._is_async = iscoroutinefunction(get_response)
        self._options = _askable(project.options, is_async=self._is_async)
        if project.options.gate:  # Django calls it only where it is there
            self.process_view = project.gate.admit_async if self._is_async else project.gate.admit
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Answer as the chain does; in an asynchronous chain, an awaitable of it."""
        if self._is_async:
            return self._call_async(request)
        watch = self._watch(request)
        if watch is None:
            return self._get_response(request)
        try:
            response = self._get_response(request)
            ask(watch, request, self._options)
        except BaseException as error:
            ask(watch, request, self._options)
            self._name_route(watch, request)
            watch.over(error)
            raise
        self._name_route(watch, request, response)
        tell_limits(request, response)
        watch.answered(response)
        return response

    async def _call_async(self, request: Any) -> Any:
        watch = self._watch(request)
        if watch is None:
            return await self._get_response(request)
        try:
            response = await self._get_response(request)
            await ask_async(watch, request, self._options)
        except BaseException as error:
            try:
                if not isinstance(error, GeneratorExit):  # after which nothing may be awaited
                    await ask_async(watch, request, self._options)
            finally:
                self._name_route(watch, request)
                watch.over(error)
            raise
        self._name_route(watch, request, response)
        tell_limits(request, response)
        watch.answered(response)
        return response

    def _watch(self, request: Any) -> Watch | None:
        try:
            if hasattr(request, WATCH):
                return None  # this middleware is there twice
            watch = Watch.of(self._recorder, request, self._source)
            setattr(request, WATCH, watch)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.fail(error)
            return None
        return watch

    def _name_route(self, watch: Watch, request: Any, response: Any = None) -> None:
        try:
            match = request.resolver_match
            if match is None and getattr(response, "status_code", None) != NOT_FOUND:
                match = _nearest_match(request)
            if match is not None:
                watch.route = route_template(str(match.route))
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.trouble(error)


def _nearest_match(request: Any) -> Any:
    """What a request would have matched that was answered before Django looked: by a middleware, or for its slash."""
    for path in (request.path_info, f"{request.path_info}/"):
        try:
            return resolve(path, getattr(request, "urlconf", None))
        except Resolver404:
            continue
    return None


def _failed(request: Any = None, **_: Any) -> None:
    """Note what a view or a middleware raised, before Django makes a response of it."""
    watch, error = getattr(request, WATCH, None), sys.exception()
    if isinstance(watch, Watch) and error is not None:
        watch.raised(error)


def _askable(options: CaptureOptions, *, is_async: bool) -> CaptureOptions:
    adapted = _for_async if is_async else _for_sync
    return replace(options, asked=tuple([(name, adapted(function)) for name, function in options.asked]))


def _for_sync(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    # Whether a chain is synchronous depends on other people's middleware too.
    return async_to_sync(function) if iscoroutinefunction(function) else function


def _for_async(function: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    async def answer(request: Any) -> Any:
        try:
            found = function(request)
        except SynchronousOnlyOperation:  # it asks the database, as request.user does: in the thread of the views then
            found = await sync_to_async(function)(request)
        return await found if isawaitable(found) else found

    return function if iscoroutinefunction(function) else answer
