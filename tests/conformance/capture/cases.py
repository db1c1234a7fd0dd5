"""The table of cases: what every door must pass on unchanged, and tell the truth about."""

from __future__ import annotations

import gzip
import json
from typing import Any

from conformance.capture.apps import shop
from conformance.capture.case import Case, Request
from conformance.capture.check import ABSENT, Holds
from conformance.capture.client import HANDSHAKE

__all__ = ["CASES"]

HIDDEN = "[REDACTED]"
UNMATCHED = "(unmatched)"
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
MULTIPART = ("Content-Type", "multipart/form-data; boundary=frontier")
NO_RANGES = (
    "bare-wsgi",
    "bare-asgi",
    "django-wsgi",
    "django-asgi",
    "litestar",
    "oldest starlette",
    "oldest fastapi",
)
PARTS = (
    b'--frontier\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n'
    b'--frontier\r\nContent-Disposition: form-data; name="cv"; filename="cv.txt"\r\nContent-Type: text/plain\r\n\r\n'
    b"hunter2 worked here\r\n--frontier--\r\n"
)
SECRET = {"name": "Ann", "password": "hunter2", "deep": [{"token": "hunter2"}]}
SHOWN = {"name": "Ann", "password": HIDDEN, "deep": [{"token": HIDDEN}]}
PUBLIC = {"name": "Ann", "deep": [{"size": 3}]}
USER = {"id": 7, "name": "Ann", "password": HIDDEN}
NO_CHUNKS = {"request.body": ABSENT, "request.content_length": 0}  # Django reads no more than was announced
JOINED = Holds({"X-Many": "1, 2", "Set-Cookie": [HIDDEN, HIDDEN]})  # a framework whose headers are a mapping
IN_A_GROUP = {  # which is what the server gets
    "exception": Holds("OSError('broken')"),
    "error.type": "ExceptionGroup",
    "error.message": Holds("unhandled errors in a TaskGroup"),
}
LEFT_OUT = {"events": 0}
NOTED = {"units": "2.5", "variables": {"color": "red", "basket": {"size": 3, "password": HIDDEN}}}


def get(target: str, *headers: tuple[str, str], method: str = "GET", version: str = "1.1") -> tuple[Request, ...]:
    return (Request(method, target, headers, version=version),)


def send(
    target: str, body: bytes | tuple[bytes, ...], *headers: tuple[str, str], method: str = "POST", **more: Any
) -> tuple[Request, ...]:
    return (Request(method, target, headers, body, **more),)


def packed_json(document: Any) -> bytes:
    return json.dumps(document).encode()


def failed(kind: str, message: str) -> dict[str, Any]:
    return {
        "exception": f"{kind}({message!r})",
        "error.type": kind,
        "error.message": message,
        "error.traceback": Holds(message if kind == "ValueError" else "shop.py"),
    }


PLAIN = [
    Case(
        name="a get",
        requests=get("/users/7"),
        expect={
            "route": "/users/{user_id}",
            "response.body": USER,
            "api": "shop-api",
            "api_version": "7",
            "source": "shop",
            "request.body": ABSENT,
            "request.args": ABSENT,
            "exception": ABSENT,
            "consumer": ABSENT,
            "units": ABSENT,
        },
    ),
    Case(name="head", requests=get("/text", method="HEAD"), expect={"route": "/text"}),
    Case(name="a head that is not found", requests=get("/nothing", method="HEAD"), expect={"route": UNMATCHED}),
    Case(
        name="options",
        requests=get("/users/7", method="OPTIONS"),
        expect={"route": "/users/{user_id}"},
    ),
    Case(name="text", requests=get("/text"), expect={"route": "/text", "response.body": shop.TEXT}),
    Case(
        name="empty",
        requests=get("/empty"),
        expect={"route": "/empty", "status_code": 204, "response.content_length": 0},
    ),
    Case(name="a tag", requests=get("/cached"), expect={"route": "/cached", "status_code": 200}),
    Case(
        name="not modified",
        requests=get("/cached", ("If-None-Match", shop.ETAG)),
        expect={"route": "/cached", "status_code": 304, "response.content_length": 0},
    ),
    Case(name="not found", requests=get("/nothing"), expect={"route": UNMATCHED, "status_code": 404}),
    Case(
        name="a parameter that does not fit",
        requests=get("/users/x"),
        expect={"route": UNMATCHED, "status_code": 404},
        but={"fastapi": {"route": "/users/{user_id}", "status_code": 422}},
    ),
    Case(
        name="method not allowed",
        requests=get("/users/7", method="DELETE"),
        expect={"route": "/users/{user_id}", "status_code": 405},
    ),
    Case(
        name="a slash is missing",
        requests=get("/slash"),
        expect={"route": "/slash/"},
        but={"litestar": {"route": "/slash"}},  # Litestar takes a path with and without, and names it without
    ),
    Case(name="a redirect", requests=get("/away"), expect={"route": "/away", "status_code": 302}),
    Case(
        name="put",
        requests=send("/items/a1", packed_json(SECRET), JSON, method="PUT"),
        expect={"route": "/items/{item_id}", "request.body": SHOWN},
    ),
    Case(
        name="patch",
        requests=send("/items/a1", packed_json(SECRET), JSON, method="PATCH"),
        expect={"route": "/items/{item_id}", "request.body": SHOWN},
    ),
    Case(
        name="delete",
        requests=get("/items/a1", method="DELETE"),
        expect={"route": "/items/{item_id}", "status_code": 204, "response.content_length": 0},
    ),
    Case(name="an old client", requests=get("/users/7", version="1.0"), expect={"route": "/users/{user_id}"}),
    Case(name="a whole url", requests=get("http://shop.test/users/7"), but={"uvicorn": {"path": Holds(None)}}),
    Case(
        name="a slash at the end",
        requests=get("/slash/"),
        expect={"route": "/slash/", "status_code": 200},
        but={"litestar": {"route": "/slash"}},
    ),
]

PATHS = [
    Case(
        name="a query",
        requests=get("/search?a=1&a=2&b=%20x%2By&caf%C3%A9=%E2%82%AC&empty=&token=hunter2"),
        expect={
            "route": "/search",
            "request.args": {
                "a": ["1", "2"],
                "b": " x+y",
                "caf\u00e9": "\u20ac",
                "empty": "",
                "token": HIDDEN,
            },
            "url": Holds(f"&token={HIDDEN}"),
        },
    ),
    Case(name="a query of nothing", requests=get("/text?"), expect={"route": "/text", "request.args": ABSENT}),
    Case(name="a broken query", requests=get("/text?%ff=%zz&&=&a"), expect={"route": "/text"}),
    Case(
        name="several parameters",
        requests=get("/shops/ann/items/12/red/large"),
        expect={"route": "/shops/{shop_name}/items/{item}/{rest}"},
    ),
    Case(name="a nested route", requests=get("/v1/users/7"), expect={"route": "/v1/users/{user_id}"}),
    Case(name="an encoded slash", requests=get("/mirror/a%2Fb"), expect={"route": "/mirror/{rest}"}),
    Case(name="a path that is not UTF-8", requests=get("/mirror/caf%E9"), expect={"route": "/mirror/{rest}"}),
    Case(name="a path in Unicode", requests=get("/mirror/%E4%B8%96/caf%C3%A9"), expect={"route": "/mirror/{rest}"}),
    Case(name="dots in a path", requests=get("/mirror/../users/7"), expect={"route": "/mirror/{rest}"}),
    Case(name="two slashes in a path", requests=get("/mirror//users"), expect={}),
    Case(name="odd characters in a path", requests=get("/mirror/a;b=c,d@e:f!$'()*+%20%22%3C"), expect={}),
]

BODIES = [
    Case(
        name="post",
        requests=send("/json", packed_json(SECRET), JSON),
        expect={"route": "/json", "request.body": SHOWN, "response.body": {"got": SHOWN}},
    ),
    Case(
        name="json that is none",
        requests=send("/json", b'{"name": "Ann"', JSON),
        expect={"route": "/json", "status_code": 400},
        but={"fastapi": {"status_code": 422}},
    ),
    Case(
        name="a form",
        requests=send("/form", b"a=1&a=2&password=hunter2&b=%C3%A9+x", FORM),
        expect={"route": "/form", "request.body": {"a": ["1", "2"], "password": HIDDEN, "b": "\u00e9 x"}},
    ),
    Case(
        name="an upload",
        requests=send("/form", PARTS, MULTIPART),
        expect={
            "route": "/form",
            "request.body": [
                {"name": "password", "size": 7},
                {"name": "cv", "filename": "cv.txt", "content_type": "text/plain", "size": 19},
            ],
        },
    ),
    Case(
        name="a text",
        requests=send("/echo", shop.TEXT.encode(), ("Content-Type", "text/plain; charset=utf-8")),
        expect={"route": "/echo", "request.body": shop.TEXT, "response.body": shop.TEXT},
    ),
    Case(
        name="a text in Latin-1",
        requests=send("/echo", b"caf\xe9", ("Content-Type", "text/plain; charset=iso-8859-1")),
        expect={"route": "/echo", "request.body": "caf\u00e9"},
    ),
    Case(
        name="bytes",
        requests=send("/echo", bytes(range(256)), ("Content-Type", "application/octet-stream")),
        expect={"route": "/echo", "request.body": ABSENT, "response.body": ABSENT, "response.content_length": 256},
    ),
    Case(name="a body of nothing", requests=send("/echo", b""), expect={"route": "/echo", "request.content_length": 0}),
    Case(name="a body that nobody reads", requests=send("/unread", b"x" * 1000), expect={"route": "/unread"}),
    Case(
        name="a large body",
        requests=send("/count", shop.LARGE),
        expect={"route": "/count", "request.content_length": len(shop.LARGE)},
    ),
    Case(
        name="a large json",
        requests=send("/echo", packed_json(["x" * 60] * 10_000), JSON),
        expect={"route": "/echo", "request.body_truncated": True, "response.body_truncated": True},
    ),
    Case(
        name="chunks",
        requests=send("/json", (packed_json(PUBLIC)[:5], packed_json(PUBLIC)[5:]), JSON),
        expect={
            "route": "/json",
            "request.body": PUBLIC,
            "response.body": {"got": PUBLIC},
            "request.content_length": len(packed_json(PUBLIC)),
        },
        but={"django-wsgi": NO_CHUNKS | {"response.body": "no JSON"}},
    ),
    Case(
        name="large chunks",
        requests=send("/count", tuple(shop.LARGE[at : at + 50_000] for at in range(0, len(shop.LARGE), 50_000))),
        expect={"route": "/count", "request.content_length": len(shop.LARGE)},
        but={"django-wsgi": NO_CHUNKS},
    ),
    Case(
        name="chunks that nobody reads",
        requests=send("/unread", (b"some", b"thing")),
        expect={"route": "/unread", "request.content_length": Holds(None)},
    ),
    Case(
        name="a compressed body",
        requests=send("/echo", gzip.compress(packed_json(SECRET), mtime=0), JSON, ("Content-Encoding", "gzip")),
        expect={"route": "/echo", "request.body": SHOWN},
    ),
    Case(
        name="a slow body",
        requests=send("/pieces", shop.LARGE[:5000]),
        way="slow",
        expect={"route": "/pieces", "request.content_length": 5000},
        without={"django-asgi": "Django reads the body before its first middleware"},
    ),
    Case(
        name="a body that waits to be asked for",
        requests=send("/json", packed_json(PUBLIC), JSON, ("Expect", "100-continue")),
        way="expect",
        expect={"route": "/json", "request.body": PUBLIC},
    ),
    Case(
        name="a body that is not asked for",
        requests=send("/unread", packed_json(PUBLIC), JSON, ("Expect", "100-continue")),
        way="expect",
        expect={"route": "/unread"},
    ),
    Case(
        name="a body that ends too soon",
        requests=send("/count", b"x" * 100, promised=1000),
        way="cut",
        expect={"events": 1, "route": "/count", "request.content_length": 1000},
        but={"django-asgi": LEFT_OUT},  # Django reads the body before its first middleware
    ),
]

ANSWERS = [
    Case(name="a large answer", requests=get("/large"), expect={"route": "/large", "response.content_length": 2**20}),
    Case(
        name="a stream",
        requests=get("/stream"),
        way="gated",
        expect={"route": "/stream", "response.body": "chunk 0\nchunk 1\nchunk 2\n", "response.content_length": 24},
    ),
    Case(
        name="a stream to an old client",
        requests=get("/stream", version="1.0"),
        expect={"route": "/stream", "response.content_length": 24},
    ),
    Case(
        name="a client that leaves",
        requests=get("/endless"),
        way="gone",
        expect={"route": "/endless", "status_code": 200, "exception": ABSENT, "response.content_length": Holds(None)},
    ),
    Case(
        name="an answer with work to follow",
        requests=get("/background"),
        way="background",
        expect={"route": "/background"},
        without={
            "django-wsgi": "Django has no tasks after the answer",
            "django-asgi": "Django has no tasks after the answer",
        },
    ),
    Case(name="a file", requests=get("/file"), expect={"route": "/file"}),
    Case(
        name="part of a file",
        requests=get("/file", ("Range", "bytes=100-199")),
        expect={"route": "/file", "status_code": 206, "response.content_length": 100},
        but={door: {"status_code": 200, "response.content_length": shop.FILE.stat().st_size} for door in NO_RANGES},
    ),
    Case(name="a part that a file has not", requests=get("/file", ("Range", "bytes=99999999-")), expect={}),
    Case(name="a file's head", requests=get("/file", method="HEAD"), expect={"response.content_length": 0}),
    Case(
        name="headers that repeat",
        requests=get("/many"),
        expect={"route": "/many", "response.headers": Holds({"X-Many": ["1", "2"], "Set-Cookie": [HIDDEN, HIDDEN]})},
        but={tag: {"response.headers": JOINED} for tag in ("django-wsgi", "django-asgi", "litestar")},
    ),
    Case(
        name="a header in Latin-1",
        requests=get("/latin"),
        expect={"response.headers": Holds({"X-Name": "caf\xe9"})},
        but={"quart": {"response.headers": Holds({"X-Name": "caf\xc3\xa9"})}},  # Quart writes headers as UTF-8
    ),
    Case(
        name="a compressed answer",
        requests=get("/packed"),
        expect={"response.body": {"packed": True, "token": HIDDEN}, "response.content_length": len(shop.PACKED)},
    ),
    Case(
        name="by write",
        only="bare-wsgi",
        requests=get("/written"),
        expect={"response.body": "by write, then by return"},
    ),
    Case(name="begun by the iterator", only="bare-wsgi", requests=get("/lazy"), expect={"response.body": "lazy"}),
    Case(
        name="begun again",
        without={"gunicorn": "gunicorn sends the headers of both"},
        only="bare-wsgi",
        requests=get("/again"),
        expect={"status_code": 503, "response.mimetype": "text/html", "route": "/again"},
    ),
    Case(
        name="a body by lines",
        only="bare-wsgi",
        requests=send("/lines", b"one\ntwo\nthree\n\nfive"),
        expect={"route": "/lines"},
    ),
    Case(name="a lifespan", only="bare-asgi", requests=get("/started"), expect={"response.body": {"started": True}}),
]

FAILURES = [
    Case(
        name="an error",
        requests=get("/boom"),
        expect={"route": "/boom", "status_code": 500, **failed("ValueError", "boom")},
        but={
            door: {"response.mimetype": ABSENT, "response.content_length": ABSENT}
            for door in ("bare-wsgi", "bare-asgi")
        },
        unanswered=("bare-wsgi", "bare-asgi"),
    ),
    Case(
        name="an error in a stream",
        requests=get("/broken"),
        expect={"route": "/broken", "status_code": 200, "response.content_length": 16, **failed("OSError", "broken")},
        but={
            "litestar": {
                "exception": Holds("LitestarException"),  # which is what the server gets
                "error.type": "litestar.exceptions.base_exceptions.LitestarException",
                "error.message": Holds("after response started"),
                "error.traceback": Holds("OSError: broken"),
            },
            "oldest starlette": IN_A_GROUP,
            "oldest fastapi": IN_A_GROUP,
        },
    ),
    Case(name="an abort", requests=get("/abort"), expect={"route": "/abort", "exception": ABSENT}),
]

HEADERS = [
    Case(
        name="request headers that repeat",
        requests=get("/mirror/x", ("X-Many", "1"), ("X-Many", "2")),
        expect={"request.headers": Holds({"X-Many": ["1", "2"]})},
        but={tag: {"request.headers": Holds({"X-Many": "1,2"})} for tag in ("wsgi", "django-asgi")},
    ),
    Case(
        name="a request header in Latin-1",
        requests=get("/mirror/x", ("X-Name", "caf\xe9")),
        expect={"request.headers": Holds({"X-Name": "caf\xe9"})},
    ),
    Case(name="a huge header", requests=get("/mirror/x", ("X-Huge", "x" * 7000)), expect={"route": "/mirror/{rest}"}),
    Case(
        name="secrets",
        requests=get(
            "/mirror/x?api_key=hunter2&a=1",
            ("Authorization", "Bearer hunter2"),
            ("Cookie", "sid=hunter2"),
            ("X-Api-Key", "hunter2"),
            ("Referer", "http://shop.test/?session=hunter2"),
        ),
        expect={
            "client.authorization": f"Bearer {HIDDEN}",
            "client.referer": f"http://shop.test/?session={HIDDEN}",
            "request.args": {"api_key": HIDDEN, "a": "1"},
            "request.headers": Holds({"Cookie": HIDDEN, "X-Api-Key": HIDDEN}),
            "response.body": Holds(None),
        },
    ),
]

CONNECTIONS = [
    Case(
        name="three in turn",
        requests=get("/users/7") + send("/json", packed_json(PUBLIC), JSON) + get("/stream"),
        way="in turn",
        expect={},
    ),
    Case(name="two at once", requests=get("/users/7") + get("/text"), expect={}),
]

VIEWS = [
    Case(
        name="an async view",
        requests=get("/async"),
        expect={"route": "/async", **NOTED},
        without={"bare-wsgi": "WSGI has no coroutines"},
    ),
    Case(name="a sync view", requests=get("/sync"), expect={"route": "/sync", **NOTED}),
    Case(
        name="a view that tells",
        requests=get("/context", ("X-Consumer", "bob")),
        expect={"consumer": {"key": "ann", "label": "Ann", "group": "staff"}, **NOTED},
    ),
    Case(
        name="a consumer",
        requests=get("/users/7", ("X-Consumer", "bob")),
        expect={"consumer": {"key": "bob", "group": "shoppers"}},
    ),
    Case(name="a view that skips", requests=get("/skip"), expect=LEFT_OUT),
    Case(name="a route that is left out", requests=get("/excluded"), expect=LEFT_OUT),
    Case(name="a status that is left out", requests=get("/teapot"), expect=LEFT_OUT),
    Case(name="a method that is left out", requests=get("/text", method="TRACE"), expect=LEFT_OUT),
    Case(name="a request that is left out", requests=get("/text", ("X-Exclude", "yes")), expect=LEFT_OUT),
    Case(
        name="a websocket",
        requests=get("/socket", *HANDSHAKE),
        way="websocket",
        expect=LEFT_OUT,
        without={"wsgi": "WSGI has no websockets", "django-asgi": "Django has no websockets"},
    ),
]

CASES = [*PLAIN, *PATHS, *BODIES, *ANSWERS, *FAILURES, *HEADERS, *CONNECTIONS, *VIEWS]
