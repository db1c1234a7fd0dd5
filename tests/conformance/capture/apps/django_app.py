"""The shop in Django, for WSGI and for ASGI."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import PermissionDenied
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.test.utils import override_settings
from django.urls import include, path
from django.views.decorators.http import etag, require_GET, require_http_methods, require_POST, require_safe

from conformance.capture.apps import shop
from conformance.capture.apps.gate import Gate
from tollkeeper import skip

if TYPE_CHECKING:
    from django.http import HttpRequest

    from tollkeeper.sinks.base import Sink

__all__ = ["make_asgi", "make_wsgi", "surroundings"]

TEXT, BYTES = "text/plain; charset=utf-8", "application/octet-stream"
DOOR = "tollkeeper.django.Tollkeeper"
SETTINGS: dict[str, Any] = {
    "ROOT_URLCONF": __name__,
    "ALLOWED_HOSTS": ["*"],
    "SECRET_KEY": "shop",
    "LOGGING_CONFIG": None,
    "MIDDLEWARE": ["django.middleware.common.CommonMiddleware"],
    "DEBUG_PROPAGATE_EXCEPTIONS": False,
}


def surroundings(*, propagate: bool = False) -> Any:
    """What must be in force while a request is answered, in a process where others have settings of their own."""
    _configure(SETTINGS)
    return override_settings(**(SETTINGS | {"DEBUG_PROPAGATE_EXCEPTIONS": propagate}))


def _configure(values: dict[str, Any]) -> None:
    if not settings.configured:
        settings.configure(**values)
        django.setup()


def make_wsgi(sink: Sink | None, **options: Any) -> Any:
    """Make the app for WSGI; without a sink it has never heard of Tollkeeper."""
    return _make(get_wsgi_application, sink, options)


def make_asgi(sink: Sink | None, **options: Any) -> Any:
    """Make the app for ASGI."""
    app = _make(get_asgi_application, sink, options)
    if sink is None:
        return app
    from tollkeeper.django import lifespan  # noqa: PLC0415 - the settings must be there first, and Tollkeeper wanted

    return lifespan(app)


def _make(get_application: Any, sink: Sink | None, options: dict[str, Any]) -> Any:
    values = dict(SETTINGS)
    options.pop("propagate", None)  # which Django asks its settings for at each request
    if sink is not None:
        values["MIDDLEWARE"] = [DOOR, *SETTINGS["MIDDLEWARE"]]
        values["TOLLKEEPER"] = {"sink": sink, **(shop.OPTIONS | options)}
    _configure(values)
    with override_settings(**values):
        return get_application()


def _has_async_views(request: HttpRequest) -> bool:
    return hasattr(request, "scope")


@require_safe
def user(_: HttpRequest, user_id: int) -> HttpResponse:
    return JsonResponse(shop.USER | {"id": user_id})


@require_GET
def several(_: HttpRequest, shop_name: str, item: int, rest: str) -> HttpResponse:
    return HttpResponse(f"{shop_name} {item} {rest}", content_type=TEXT)


@require_http_methods(["PUT", "PATCH", "DELETE"])
def item(request: HttpRequest, item_id: str) -> HttpResponse:
    if request.method == "DELETE":
        return HttpResponse(status=204)
    return JsonResponse({"id": item_id, "method": request.method, "got": json.loads(request.body)})


@require_safe
def text(_: HttpRequest) -> HttpResponse:
    return HttpResponse(shop.TEXT, content_type=TEXT)


@require_GET
def slash(_: HttpRequest) -> HttpResponse:
    return HttpResponse("slash")


@require_GET
def away(_: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/users/7?token=hunter2")


@require_GET
def search(request: HttpRequest) -> HttpResponse:
    pairs = [[name, value] for name, values in request.GET.lists() for value in values]
    return JsonResponse(pairs, safe=False)


@require_safe
@etag(lambda _: shop.ETAG)
def cached(_: HttpRequest) -> HttpResponse:
    return HttpResponse("cached")


async def asynchronous(_: HttpRequest) -> HttpResponse:
    shop.notes()
    return HttpResponse("async")


def synchronous(_: HttpRequest) -> HttpResponse:
    shop.notes()
    return HttpResponse("sync")


@require_POST
def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body, content_type=request.headers.get("Content-Type", ""))


@require_POST
def parsed(request: HttpRequest) -> HttpResponse:
    try:
        return JsonResponse({"got": json.loads(request.body)})
    except ValueError:
        return HttpResponse("no JSON", status=400)


@require_POST
def form(request: HttpRequest) -> HttpResponse:
    fields = [[name, value] for name, values in request.POST.lists() for value in values]
    files = [[name, file.name, len(file.read())] for name, file in request.FILES.items()]
    return JsonResponse({"fields": fields, "files": files})


@require_POST
def count(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shop.digest(request.body))


@require_POST
def pieces(request: HttpRequest) -> HttpResponse:
    with Gate(request.headers.get("X-Gate")):
        return HttpResponse(shop.digest(b"".join(iter(lambda: request.read(1000), b""))))


@require_POST
def unread(_: HttpRequest) -> HttpResponse:
    return HttpResponse("unread")


def mirror(request: HttpRequest, rest: str) -> HttpResponse:
    assert rest
    query = request.META["QUERY_STRING"]
    told = shop.mirrored(str(request.method), request.path_info, query, request.headers.items())
    return HttpResponse(told, content_type="application/json")


@require_GET
def stream(request: HttpRequest) -> StreamingHttpResponse:
    make = shop.async_chunks if _has_async_views(request) else shop.chunks
    return StreamingHttpResponse(make(request.headers), content_type=TEXT)


@require_GET
def endless(request: HttpRequest) -> StreamingHttpResponse:
    make = shop.async_endless_chunks if _has_async_views(request) else shop.endless_chunks
    return StreamingHttpResponse(make(request.headers), content_type=BYTES)


@require_GET
def broken(request: HttpRequest) -> StreamingHttpResponse:
    make = shop.async_broken_chunks if _has_async_views(request) else shop.broken_chunks
    return StreamingHttpResponse(make(), content_type=TEXT)


@require_GET
def large(_: HttpRequest) -> HttpResponse:
    return HttpResponse(shop.LARGE, content_type=BYTES)


@require_GET
def file(_: HttpRequest) -> FileResponse:
    return FileResponse(shop.FILE.open("rb"), content_type=BYTES)


@require_GET
def empty(_: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


@require_GET
def many(_: HttpRequest) -> HttpResponse:
    response = HttpResponse("many", headers={"X-Many": "1, 2"})
    response.set_cookie("sid", "hunter2")
    response.set_cookie("theme", "dark")
    return response


@require_GET
def latin(_: HttpRequest) -> HttpResponse:
    return HttpResponse("latin", headers={"X-Name": "caf\xe9"})


@require_GET
def packed(_: HttpRequest) -> HttpResponse:
    return HttpResponse(shop.PACKED, content_type="application/json", headers={"Content-Encoding": "gzip"})


def boom(_: HttpRequest) -> HttpResponse:
    raise ValueError("boom")


def aborted(_: HttpRequest) -> HttpResponse:
    raise PermissionDenied


def teapot(_: HttpRequest) -> HttpResponse:
    return HttpResponse("short and stout", status=418)


def context(_: HttpRequest) -> HttpResponse:
    shop.note_all()
    return HttpResponse("context")


def skipped(_: HttpRequest) -> HttpResponse:
    skip()
    return HttpResponse("skip")


def excluded(_: HttpRequest) -> HttpResponse:
    return HttpResponse("excluded")


NESTED = [path("users/<int:user_id>", user)]
urlpatterns = [
    path("users/<int:user_id>", user),
    path("v1/", include(NESTED)),
    path("shops/<str:shop_name>/items/<int:item>/<path:rest>", several),
    path("items/<item_id>", item),
    path("mirror/<path:rest>", mirror),
    path("slash/", slash),
    path("async", asynchronous),
    path("sync", synchronous),
    path("json", parsed),
    path("abort", aborted),
    path("skip", skipped),
    *(path(view.__name__, view) for view in (text, away, search, cached, echo, form, count, pieces, unread)),
    *(path(view.__name__, view) for view in (stream, endless, broken, large, file, empty, many, latin, packed)),
    *(path(view.__name__, view) for view in (boom, teapot, context, excluded)),
]
