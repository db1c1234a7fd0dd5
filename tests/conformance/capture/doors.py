"""The doors, and what each is run on."""

from __future__ import annotations

from conformance.capture.case import Run

__all__ = ["COMMANDS", "IN_PROCESS", "ON_SERVERS"]

APPS = {
    "flask": ("flask_app:make", "wsgi"),
    "bare-wsgi": ("wsgi_app:make", "wsgi"),
    "django-wsgi": ("django_app:make_wsgi", "wsgi"),
    "fastapi": ("fastapi_app:make", "asgi"),
    "starlette": ("starlette_app:make", "asgi"),
    "litestar": ("litestar_app:make", "asgi"),
    "quart": ("quart_app:make", "asgi"),
    "bare-asgi": ("asgi_app:make", "asgi"),
    "django-asgi": ("django_app:make_asgi", "asgi"),
}
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", "--workers", "1", "--keep-alive", "1")
UVICORN = ("uvicorn", "--port", "0", "--no-access-log", "--timeout-graceful-shutdown", "5")
COMMANDS = {
    "gunicorn-sync": (*GUNICORN, "--worker-class", "sync"),
    "gunicorn-threads": (*GUNICORN, "--worker-class", "gthread", "--threads", "4"),
    "uvicorn-h11": (*UVICORN, "--http", "h11", "--loop", "asyncio", "--ws", "websockets-sansio"),
    "uvicorn-httptools": (*UVICORN, "--http", "httptools", "--loop", "uvloop", "--ws", "wsproto"),
}
SERVERS = {"wsgi": ("gunicorn-sync", "gunicorn-threads"), "asgi": ("uvicorn-h11", "uvicorn-httptools")}

ON_SERVERS = [Run(door, app, kind, server) for door, (app, kind) in APPS.items() for server in SERVERS[kind]]
IN_PROCESS = [
    *(Run(door, app, kind, "process") for door, (app, kind) in APPS.items()),
    Run("bare-wsgi", "wsgi_app:make_validated", "wsgi", "process-validated"),
]
