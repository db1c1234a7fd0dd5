"""A Django project with a view for each thing that may go well or wrong, called as its servers call it."""

from __future__ import annotations

import asyncio
import gc
import io
import tempfile
import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import unquote_to_bytes
from wsgiref.util import setup_testing_defaults

import django
from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import Client, override_settings
from django.urls import include, path, re_path
from django.utils.decorators import sync_and_async_middleware, sync_only_middleware
from django.views.decorators.http import etag, require_safe

import tollkeeper
from tollkeeper.django import keeper
from tollkeeper.sinks.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tollkeeper.events.event import UsageEvent

__all__ = ["ENDED", "FILE", "OURS", "SYNC_BELOW", "Answer", "Project", "call_asgi", "call_wsgi", "environ", "scope"]

OURS = "tollkeeper.django.Tollkeeper"
BELOW = "support.django_project.below"
SYNC_BELOW = "support.django_project.sync_below"
COMMON = "django.middleware.common.CommonMiddleware"
FILE = b"0123456789" * 1000
ENDED: list[str] = []
"""What has come to its end that a client left."""


def user(_: Any, user_id: int) -> Any:
    return JsonResponse({"id": user_id, "password": "hunter2"})


async def user_async(_: Any, user_id: int) -> Any:
    await asyncio.sleep(0)
    return JsonResponse({"id": user_id})


def echo(request: Any) -> Any:
    return HttpResponse(request.body, content_type=request.headers.get("Content-Type", "text/plain"))


def form(request: Any) -> Any:
    files = {name: file.size for name, file in request.FILES.items()}
    return JsonResponse({"fields": dict(request.POST), "files": files})


def pieces(request: Any) -> Any:
    return HttpResponse(b"|".join([request.read(3), request.readline(), *request]))


def numbers() -> Iterator[str]:
    yield from ("0\n", "1\n", "2\n")


async def numbers_async() -> AsyncIterator[bytes]:
    for number in (b"0\n", b"1\n", b"2\n"):
        await asyncio.sleep(0)
        yield number


def stream(request: Any) -> Any:
    return StreamingHttpResponse(numbers_async() if request.GET else numbers())


def broken(request: Any) -> Any:
    def chunks() -> Iterator[bytes]:
        yield b"a"
        raise OSError("mid-stream")

    async def chunks_async() -> AsyncIterator[bytes]:
        yield b"a"
        raise OSError("mid-stream")

    return StreamingHttpResponse(chunks_async() if request.GET else chunks())


def endless(request: Any) -> Any:
    def chunks() -> Iterator[bytes]:
        try:
            while True:
                yield b"more"
        finally:
            ENDED.append("stream")

    async def chunks_async() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more"
                await asyncio.sleep(10 if request.GET["async"] == "waits" else 0)
        finally:
            ENDED.append("stream")

    return StreamingHttpResponse(chunks_async() if request.GET else chunks())


async def waits(_: Any) -> Any:
    try:
        await asyncio.sleep(10)
    finally:
        ENDED.append("view")


def file(request: Any) -> Any:
    held: Any = io.BytesIO(FILE)
    if request.GET:
        held = tempfile.TemporaryFile()  # noqa: SIM115  # the response closes it
        held.write(FILE)
        held.seek(0)
    return FileResponse(held, filename="data.bin")


def parts(_: Any) -> Any:
    response = HttpResponse("a", content_type="text/plain; charset=latin-1")
    response.write("é")
    response.write(b"\xff")
    return response


def cookies(_: Any) -> Any:
    response = HttpResponse("", headers={"X-One": "1"})
    response.set_cookie("sid", "hunter2", httponly=True)
    response.set_cookie("theme", "dark")
    return response


def boom(_: Any) -> Any:
    raise ValueError("boom")


async def boom_async(_: Any) -> Any:
    raise ValueError("boom")


def refuse(_: Any, kind: str) -> Any:
    raise {"404": Http404, "403": PermissionDenied, "400": BadRequest}[kind]("hunter2")


def leave(_: Any) -> Any:
    raise SystemExit(3)


def skips(_: Any) -> Any:
    tollkeeper.skip()
    return HttpResponse("")


def thread(_: Any) -> Any:
    return HttpResponse(str(threading.get_ident()))


async def thread_async(_: Any) -> Any:
    return HttpResponse(str(threading.get_ident()))


def hide_all(_: str, __: Any) -> str:
    return "hidden"


def nested(_: Any) -> Any:
    Client().get("/")
    raise ValueError("after it")


def is_home(request: Any) -> bool:
    return bool(request.path_info == "/")


def tells(_: Any) -> Any:
    tollkeeper.track(place="view")
    tollkeeper.set_units(3)
    tollkeeper.set_consumer("ann", label="Ann")
    return HttpResponse("")


async def tells_async(_: Any) -> Any:
    async def later() -> None:
        tollkeeper.track(task="background")

    await asyncio.create_task(later())
    tollkeeper.track(place="view")
    tollkeeper.set_units(3)
    tollkeeper.set_consumer("ann", label="Ann")
    return HttpResponse("")


urlpatterns = [
    path("", lambda _: HttpResponse("home")),
    path("users/<int:user_id>/", require_safe(user)),
    path("async/<int:user_id>/", user_async),
    path("echo/", echo),
    path("form/", form),
    path("pieces/", pieces),
    path("stream/", stream),
    path("broken/", broken),
    path("endless/", endless),
    path("waits/", waits),
    path("file/", file),
    path("parts/", parts),
    path("cookies/", cookies),
    path("boom/", boom),
    path("boom-async/", boom_async),
    path("refuse/<kind>/", refuse),
    path("empty/", lambda _: HttpResponse(status=204)),
    path("tagged/", etag(lambda _: "tag")(lambda _: HttpResponse("tagged"))),
    path("away/", lambda _: HttpResponse(status=302, headers={"Location": "/users/1/?token=hunter2"})),
    path("nothing/", lambda _: None),
    path("tells/", tells),
    path("tells-async/", tells_async),
    path("exit/", leave),
    path("skips/", skips),
    path("nested/", nested),
    path("thread/", thread),
    path("thread-async/", thread_async),
    path("views/", lambda _: StreamingHttpResponse([memoryview(b"view"), 7])),
    path("closed/<int:user_id>/", user),
    path("v1/", include([re_path(r"^things/(?P<thing>[0-9a-f]{2})/$", lambda _, thing: HttpResponse(thing))])),
]


def _below(request: Any) -> Any:
    tollkeeper.track(below=True)
    if request.path_info.startswith("/closed/"):
        return HttpResponse(status=503)
    if request.path_info == "/raises/":
        raise LookupError("in a middleware")
    return None


def _either(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A middleware of the host's that answers or raises by itself."""

    async def respond_async(request: Any) -> Any:
        return _below(request) or await get_response(request)

    def respond(request: Any) -> Any:
        return _below(request) or get_response(request)

    return respond_async if iscoroutinefunction(get_response) else respond


def _only_sync(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same, which makes its surroundings synchronous."""
    return lambda request: _below(request) or get_response(request)


below = sync_and_async_middleware(_either)
sync_below = sync_only_middleware(_only_sync)


class Answer(NamedTuple):
    """What a client gets: with ``error``, what the server gets."""

    status: object
    headers: list[tuple[str, str]]
    chunks: list[bytes]
    error: str

    @property
    def body(self) -> bytes:
        """All chunks."""
        return b"".join(self.chunks)


def environ(target: str, method: str = "GET", body: bytes = b"", **more: Any) -> dict[str, Any]:
    """What a WSGI server makes of a request; ``more`` goes into it."""
    raw, _, query = target.partition("?")
    mount = more.get("SCRIPT_NAME", "").rstrip("/")
    made: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(raw.removeprefix(mount)).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "shop.test",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
    }
    made |= more
    setup_testing_defaults(made)
    return made


def call_wsgi(target: str, method: str = "GET", body: bytes = b"", **more: Any) -> Answer:
    """Call the project as a WSGI server does; ``more`` goes into the environ."""
    begun: list[Any] = [None, []]
    chunks: list[bytes] = []
    result: Any = None

    def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> None:
        begun[:] = [status, headers]

    try:
        result = WSGIHandler()(environ(target, method, body, **more), start_response)
        chunks.extend(result)
    except BaseException as error:  # noqa: BLE001 - what passes to the server is compared too
        return Answer(begun[0], begun[1], chunks, repr(error))
    finally:
        if hasattr(result, "close"):
            result.close()
    return Answer(begun[0], begun[1], chunks, "")


def call_asgi(target: str, method: str = "GET", body: bytes = b"", **more: str) -> Answer:
    """Call the project as an ASGI server does; ``more`` are headers under their names in an environ."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # Django 5.2 leaves the body's file open when a stream fails
        answer = asyncio.run(_serve(scope(target, method, body, **more), body))
        if answer.error:
            gc.collect()
    return answer


def scope(target: str, method: str = "GET", body: bytes = b"", **more: str) -> dict[str, Any]:
    """What an ASGI server makes of a request; ``more`` are headers under their names in an environ."""
    raw, _, query = target.partition("?")
    headers = {"HTTP_HOST": "shop.test", "CONTENT_LENGTH": str(len(body))} | more
    return {
        "type": "http",
        "method": method,
        "path": unquote_to_bytes(raw).decode("utf-8", "replace"),
        "root_path": headers.pop("SCRIPT_NAME", "").rstrip("/"),
        "query_string": query.encode(),
        "headers": [
            (name.removeprefix("HTTP_").replace("_", "-").lower().encode(), value.encode("latin-1"))
            for name, value in headers.items()
        ],
        "client": ("192.0.2.1", 50000),
        "server": ("shop.test", 80),
        "scheme": "http",
    }


async def _serve(connection: dict[str, Any], body: bytes) -> Answer:
    begun: list[Any] = [None, []]
    chunks: list[bytes] = []
    messages = [
        {"type": "http.request", "body": body[:4], "more_body": True},
        {"type": "http.request", "body": body[4:], "more_body": False},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [(name.decode(), value.decode("latin-1")) for name, value in message["headers"]]
            begun[:] = [message["status"], headers]
        else:
            chunks.append(message.get("body", b""))

    try:
        await ASGIHandler()(connection, receive, send)
    except BaseException as error:  # noqa: BLE001 - what passes to the server is compared too
        return Answer(begun[0], begun[1], chunks, repr(error))
    return Answer(begun[0], begun[1], chunks, "")


class Project:
    """The project under settings of its own, as long as it is entered, and the events that it records."""

    def __init__(self, *, watched: bool = True, middleware: tuple[str, ...] = (BELOW, COMMON), **given: Any) -> None:
        named = {name: given.pop(name) for name in list(given) if name.isupper()}
        self.sink = MemorySink()
        own = {
            "ROOT_URLCONF": __name__,
            "MIDDLEWARE": [*([OURS] if watched else []), *middleware],
            "ALLOWED_HOSTS": ["*"],
            "TOLLKEEPER": {"sink": self.sink, "source": "shop"} | given,
            "TOLLKEEPER_FLUSH_SECONDS": 0.02,
        }
        self._settings = override_settings(**own | named)

    def __enter__(self) -> Self:
        if not settings.configured:
            settings.configure(LOGGING_CONFIG=None, SECRET_KEY="for tests")
            django.setup()
        self._settings.enable()
        return self

    def __exit__(self, *_: object) -> None:
        self._settings.disable()

    def events(self) -> list[UsageEvent]:
        """Everything recorded so far."""
        assert keeper().flush(10)
        return self.sink.events

    def event(self) -> dict[str, Any]:
        """The one event that there is, as a document."""
        (event,) = self.events()
        return event.document()
