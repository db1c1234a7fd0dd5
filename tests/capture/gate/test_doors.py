from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import flask
import httpx
import pytest
from fastapi import Depends, FastAPI
from litestar import Litestar
from litestar import get as litestar_get
from quart import Quart
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from werkzeug.test import EnvironBuilder, run_wsgi_app

import tollkeeper
from support.leasing import MICRO, Bank, BankSink
from tollkeeper.asgi import Tollkeeper as ASGITollkeeper
from tollkeeper.capture.gate.answer import refuse
from tollkeeper.capture.gate.routes import RouteFinder
from tollkeeper.errors import ConfigurationError
from tollkeeper.events.lease import Denial
from tollkeeper.flask import Tollkeeper as FlaskTollkeeper
from tollkeeper.leases.lease import Verdict
from tollkeeper.testing import MemorySink, fake_gate
from tollkeeper.wsgi import Tollkeeper as WSGITollkeeper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from starlette.requests import Request

    from tollkeeper.events.event import UsageEvent

KEY = {"X-API-Key": "secret"}
PROBLEM = "application/problem+json"


@pytest.fixture
def bank() -> Bank:
    return Bank(room=1)


def get(app: flask.Flask, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Any:
    return app.test_client().open(path, method=method, headers=headers, buffered=True)


def events(door: Any) -> list[UsageEvent]:
    assert door.flush(10)
    sink: MemorySink = door.sink
    return sink.events


@pytest.fixture
def doors() -> Iterator[list[Any]]:
    made: list[Any] = []
    yield made
    for door in made:
        door.close(0)


def endpoints(bank: Bank) -> list[str | None]:
    return [take.endpoint for take in bank.takes]


# Flask


def flask_app() -> flask.Flask:
    app = flask.Flask("shop")

    @app.get("/users/<int:user_id>")
    def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    return app


def test_flask_refuses_before_the_view_what_may_not_be_called(bank: Bank, doors: list[Any]) -> None:
    app = flask_app()
    door = FlaskTollkeeper(app, sink=BankSink(bank), gate=True)
    doors.append(door)
    anonymous = get(app, "/users/1")
    assert (anonymous.status_code, anonymous.get_json()["code"]) == (401, "unknown_api_key")
    assert anonymous.headers["WWW-Authenticate"] == "Bearer"
    admitted = get(app, "/users/1", headers=KEY)
    assert (admitted.status_code, "RateLimit" in admitted.headers) == (200, False)
    refused = get(app, "/users/2", headers=KEY)
    assert (refused.status_code, refused.content_type) == (429, PROBLEM)
    assert refused.get_json() == {
        "title": "Too Many Requests",
        "status": 429,
        "code": "quota_exceeded",
        "detail": "The quota has no room.",
        "retry_after": 60,
    }
    assert refused.headers["RateLimit-Policy"] == '"all month";q=1000;w=86400'
    assert refused.headers["RateLimit"] == '"all month";r=0;t=60'
    assert refused.headers["Retry-After"] == "60"
    assert endpoints(bank)[0] == "/users/{user_id}"
    admitted_event = next(event for event in events(door) if event.status_code == 200)
    assert admitted_event.consumer is not None
    assert {take.consumer for take in bank.takes} == {admitted_event.consumer.key}


def test_events_tell_what_the_gate_has_counted(bank: Bank, doors: list[Any]) -> None:
    app = flask_app()
    door = FlaskTollkeeper(app, sink=BankSink(bank), gate=True)
    doors.append(door)
    for headers in (KEY, KEY, {}):
        get(app, "/users/1", headers=headers)
    told = [(event.status_code, event.route, event.gated, int(event.units)) for event in events(door)]
    assert told == [
        (200, "/users/{user_id}", True, 1),
        (429, "/users/{user_id}", True, 0),
        (401, "/users/{user_id}", True, 0),
    ]


def test_what_is_admitted_without_being_counted_says_so(doors: list[Any]) -> None:
    bank = Bank()
    bank.failing = ConnectionError()
    app = flask_app()
    door = FlaskTollkeeper(app, sink=BankSink(bank), gate=True)
    doors.append(door)
    assert get(app, "/users/1", headers=KEY).status_code == 200
    assert [event.gated for event in events(door)] == [False]
    assert door.stats().errors["gate_undecided"] == 1


def test_what_can_not_be_known_is_refused_where_that_is_wanted(doors: list[Any]) -> None:
    bank = Bank()
    bank.failing = ConnectionError()
    app = flask_app()
    doors.append(FlaskTollkeeper(app, sink=BankSink(bank), gate=True, on_failure="deny"))
    answer = get(app, "/users/1", headers=KEY)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "gate_unavailable")
    assert answer.headers["Retry-After"] == "1"


def test_answers_tell_of_limits_when_asked(doors: list[Any]) -> None:
    app = flask_app()
    doors.append(FlaskTollkeeper(app, sink=BankSink(Bank(room=100)), gate=True, gate_headers=True))
    answer = get(app, "/users/1", headers=KEY)
    assert answer.headers["RateLimit"] == '"all month";r=99;t=60'


def test_what_is_left_out_and_preflights_need_no_key(bank: Bank, doors: list[Any]) -> None:
    app = flask_app()
    doors.append(FlaskTollkeeper(app, sink=BankSink(bank), gate=True, exclude=["/users/*", "DELETE"]))
    assert get(app, "/users/1").status_code == 200
    assert get(app, "/elsewhere", method="DELETE").status_code == 404
    assert get(app, "/elsewhere", {"Access-Control-Request-Method": "POST"}, "OPTIONS").status_code == 404
    assert get(app, "/elsewhere").status_code == 401
    assert bank.takes == []


def test_functions_of_the_host_say_whose_call_it_is_and_of_what(doors: list[Any]) -> None:
    bank = Bank()
    app = flask_app()

    def api(request: flask.Request) -> str:
        return request.args["api"]

    door = FlaskTollkeeper(
        app,
        sink=BankSink(bank),
        gate=True,
        gate_key=lambda request: request.args.get("key"),
        api=api,
        api_version="2",
    )
    doors.append(door)
    assert get(app, "/users/1?key=k&api=shop").status_code == 200
    assert get(app, "/users/1?api=shop", headers=KEY).status_code == 401
    assert [(take.api, take.api_version) for take in bank.takes] == [("shop", "2")]
    assert get(app, "/users/1?key=k").status_code == 200  # the function fails: undecided
    assert door.stats().errors["gate_undecided"] == 1


def test_what_a_request_says_of_itself_spoils_no_question(doors: list[Any]) -> None:
    bank = Bank()
    app = flask_app()
    app.add_url_rule("/any\u00e9", view_func=lambda: "any", methods=["GET", "X" * 400])
    doors.append(FlaskTollkeeper(app, sink=BankSink(bank), gate=True, api="a\0b"))
    assert get(app, "/any\u00e9", KEY, "X" * 400).status_code == 200
    assert [(take.method, take.endpoint, take.api) for take in bank.takes] == [("X" * 32, "/any\u00e9", "ab")]


def test_flask_gates_single_views(bank: Bank, doors: list[Any]) -> None:
    app = flask.Flask("shop")
    usage = FlaskTollkeeper()
    doors.append(usage)

    @app.get("/free")
    def free() -> str:
        return "free"

    @app.get("/paid")
    @usage.require_subscription()
    def paid() -> str:
        return "paid"

    @app.get("/paid-async")
    @usage.require_subscription(endpoint="/other")
    async def paid_async() -> str:
        return "paid"

    usage.sink = BankSink(bank)
    usage.init_app(app)
    assert get(app, "/free").status_code == 200
    assert [get(app, "/paid", headers=headers).status_code for headers in (KEY, KEY, {})] == [200, 429, 401]
    assert get(app, "/paid-async", headers=KEY).status_code == 429
    assert endpoints(bank)[0] == "/paid"
    assert endpoints(bank)[-1] == "/other"


def test_a_view_counts_as_many_units_as_it_says(doors: list[Any]) -> None:
    bank = Bank(room=100)
    app = flask.Flask("shop")
    usage = FlaskTollkeeper(app, sink=BankSink(bank), gate=True)
    doors.append(usage)

    @app.get("/five")
    @usage.require_subscription(units=5)
    def five() -> str:
        return "five"

    @app.get("/later")
    def later() -> str:
        tollkeeper.set_units(2.5)
        return "later"

    @app.get("/unknown")
    @usage.require_subscription(units=0)
    def unknown() -> str:
        tollkeeper.set_units(7)
        return "unknown"

    for path in ("/five", "/later", "/unknown"):
        assert get(app, path, headers=KEY).status_code == 200
    told = [(event.gated, event.units) for event in events(usage)]
    assert [(gated, float(units)) for gated, units in told] == [(True, 5), (True, 2.5), (False, 7)]
    usage.close()
    assert bank.used == 7.5 * MICRO


def test_units_that_no_lease_holds_are_counted_by_their_event(doors: list[Any]) -> None:
    bank = Bank()
    app = flask.Flask("shop")
    usage = FlaskTollkeeper(app, sink=BankSink(bank), gate=True)
    doors.append(usage)

    @app.get("/many")
    def many() -> str:
        tollkeeper.set_units(5000)
        return "many"

    assert get(app, "/many", headers=KEY).status_code == 200
    assert [(event.gated, int(event.units)) for event in events(usage)] == [(False, 5000)]


def test_units_that_no_lease_holds_are_counted_once(doors: list[Any]) -> None:
    bank = Bank(room=4)
    app = flask.Flask("shop")
    usage = FlaskTollkeeper(app, sink=BankSink(bank), gate=True)
    doors.append(usage)

    @app.get("/many")
    def many() -> str:
        tollkeeper.set_units(5)
        return "many"

    assert get(app, "/many", headers=KEY).status_code == 200
    assert [(event.gated, int(event.units)) for event in events(usage)] == [(False, 5)]
    usage.close()
    assert bank.used == 0


def test_fewer_units_than_the_service_knows_of_are_not_added_to_them(doors: list[Any]) -> None:
    bank = Bank()
    app = flask.Flask("shop")
    usage = FlaskTollkeeper(app, sink=BankSink(bank), gate=True)
    doors.append(usage)

    @app.get("/few")
    def few() -> str:
        assert usage._guard is not None
        assert usage._guard.gate.release()
        tollkeeper.set_units(0.5)
        return "few"

    assert get(app, "/few", headers=KEY).status_code == 200
    assert [event.gated for event in events(usage)] == [True]
    assert bank.used == MICRO


def test_a_refused_call_counts_nothing_whatever_is_said_of_it_later(doors: list[Any]) -> None:
    app = flask_app()
    usage = FlaskTollkeeper(app, sink=BankSink(Bank(room=0)), gate=True)
    doors.append(usage)

    @app.after_request
    def count(response: flask.Response) -> flask.Response:
        tollkeeper.set_units(7)
        return response

    assert get(app, "/users/1", headers=KEY).status_code == 429
    assert [(event.gated, int(event.units)) for event in events(usage)] == [(True, 0)]


def test_a_second_keeper_on_the_same_app_has_its_gate(bank: Bank, doors: list[Any]) -> None:
    app = flask_app()
    doors.append(FlaskTollkeeper(app, sink=BankSink(bank), gate=True))
    second = FlaskTollkeeper(app)
    assert second._guard is doors[0]._guard


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sink": "sqlite:///usage.db"}, "no service to ask"),
        ({"sink": None}, "needs a sink"),
        ({"sink": "memory:", "on_failure": "maybe"}, "on_failure is 'maybe'"),
    ],
)
def test_a_gate_that_cannot_be_is_refused_at_set_up(
    options: dict[str, Any], message: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=message):
        FlaskTollkeeper(flask_app(), gate=True, **options)


def test_what_is_required_of_a_view_is_checked() -> None:
    usage = FlaskTollkeeper()
    with pytest.raises(ConfigurationError, match="units is -1"):
        usage.require_subscription(units=-1)
    with pytest.raises(ConfigurationError, match="units is 'x'"):
        usage.require_subscription(units="x")
    with pytest.raises(ConfigurationError, match="endpoint is 'users'"):
        usage.require_subscription(endpoint="users")
    without = FlaskTollkeeper(flask_app())
    with pytest.raises(ConfigurationError, match="needs a sink"):
        without.require_subscription()


def test_before_an_app_is_known_views_are_open() -> None:
    usage = FlaskTollkeeper()
    assert usage.require_subscription()(lambda: "open")() == "open"


def test_a_setting_names_the_service_of_the_gate(doors: list[Any]) -> None:
    app = flask_app()
    app.config["TOLLKEEPER_GATE"] = "memory:"
    doors.append(FlaskTollkeeper(app, sink="http://127.0.0.1:9", gate=True))
    assert get(app, "/users/1", headers=KEY).status_code == 200


# WSGI


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


def wsgi_get(app: Any, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, bytes, Any]:
    environ = EnvironBuilder(path=path, headers=list((headers or {}).items()), method=method).get_environ()
    body, status, found = run_wsgi_app(app, environ)
    return int(status[:3]), b"".join(body), found


def test_wsgi_refuses_and_tells_of_limits(bank: Bank, doors: list[Any]) -> None:
    app = WSGITollkeeper(hello, sink=BankSink(bank), gate=True, gate_headers=True, route=lambda env: env["PATH_INFO"])
    doors.append(app)
    status, body, headers = wsgi_get(app, "/a", KEY)
    assert (status, body, headers["RateLimit"]) == (200, b"/a", '"all month";r=0;t=60')
    status, body, headers = wsgi_get(app, "/a", KEY)
    assert (status, json.loads(body)["code"], headers["Content-Type"]) == (429, "quota_exceeded", PROBLEM)
    status, body, headers = wsgi_get(app, "/a", method="HEAD")
    assert (status, body) == (401, b"")
    assert endpoints(bank)[0] == "/a"
    assert [event.gated for event in events(app)] == [True, True, True]


def test_wsgi_gates_an_app_within(bank: Bank, doors: list[Any]) -> None:
    def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return inner(environ, start_response)

    usage = WSGITollkeeper(outer, sink=BankSink(bank))
    doors.append(usage)
    inner = usage.require_subscription(endpoint="/inner")(hello)
    assert [wsgi_get(usage, "/x", KEY)[0] for _ in range(2)] == [200, 429]
    assert endpoints(bank)[0] == "/inner"
    assert [event.gated for event in events(usage)] == [True, True]


def test_wsgi_does_without_a_route_that_cannot_be_told_yet(doors: list[Any]) -> None:
    bank = Bank()
    app = WSGITollkeeper(hello, sink=BankSink(bank), gate=True, route=lambda environ: str(environ["routed"]))
    doors.append(app)
    assert wsgi_get(app, "/a", KEY)[0] == 200
    assert endpoints(bank) == [None]


# ASGI


def ask(app: Any, *requests: tuple[str, dict[str, str]], method: str = "GET") -> list[httpx.Response]:
    async def talk() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
            return [await client.request(method, path, headers=headers) for path, headers in requests]

    return asyncio.run(talk())


def statuses(app: Any, path: str, count: int = 2, headers: dict[str, str] | None = None) -> list[int]:
    return [answer.status_code for answer in ask(app, *[(path, KEY if headers is None else headers)] * count)]


async def user(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.url.path)


def test_starlette_is_gated_from_its_middleware_and_around_it(doors: list[Any]) -> None:
    for wrap in (False, True):
        bank = Bank(room=1)
        keeper = ASGITollkeeper(sink=BankSink(bank), gate=True)
        doors.append(keeper)
        mounted = Mount("/v1", routes=[Route("/users/{id:int}", user)])
        host = Host("other.example", app=Router(routes=[]))
        app: Any = Starlette(routes=[mounted, host] if wrap else [mounted])
        if wrap:
            app = keeper.middleware(app)
        else:
            app.add_middleware(keeper.middleware)
        assert statuses(app, "/v1/users/1", 3) == [200, 429, 429]
        assert statuses(app, "/v1/users/1", headers={}) == [401, 401]
        assert set(endpoints(bank)) == {"/v1/users/{id}"}
        told = [(event.status_code, event.route, event.gated) for event in events(keeper)]
        assert told == [(status, "/v1/users/{id}", True) for status in (200, 429, 429, 401, 401)]


def test_an_asgi_answer_that_is_refused_is_a_problem(bank: Bank, doors: list[Any]) -> None:
    app = ASGITollkeeper(Starlette(routes=[Route("/", user)]), sink=BankSink(bank), gate=True, gate_headers=True)
    doors.append(app)
    admitted, refused = ask(app, ("/", KEY), ("/", KEY))
    assert admitted.headers["ratelimit"] == '"all month";r=0;t=60'
    assert refused.headers["content-type"] == PROBLEM
    assert refused.json()["code"] == "quota_exceeded"
    (head,) = ask(app, ("/", {}), method="HEAD")
    assert (head.status_code, head.content) == (401, b"")


def test_fastapi_gates_routes_as_dependencies_and_decorators(bank: Bank, doors: list[Any]) -> None:
    usage = ASGITollkeeper(sink=BankSink(bank))
    doors.append(usage)
    app = FastAPI()
    subscribed = usage.require_subscription()

    @app.get("/free")
    async def free() -> str:
        return "free"

    @app.get("/depends/{number}", dependencies=[Depends(subscribed)])
    async def depends(number: int) -> int:
        return number

    @app.get("/decorated/{number}")
    @subscribed
    async def decorated(number: int) -> int:
        return number

    @app.get("/sync/{number}")
    @subscribed
    def sync(number: int) -> int:
        return number

    app.add_middleware(usage.middleware)
    assert statuses(app, "/free", headers={}) == [200, 200]
    for path in ("/depends/1", "/decorated/1", "/sync/1"):
        bank.room = MICRO
        admitted, refused = ask(app, (path, KEY), (path, KEY))
        assert (admitted.status_code, admitted.json()) == (200, 1), path
        assert (refused.status_code, refused.headers["content-type"]) == (429, PROBLEM)
        assert (refused.json()["code"], refused.headers["retry-after"]) == ("quota_exceeded", "60")
    assert set(endpoints(bank)) == {"/depends/{number}", "/decorated/{number}", "/sync/{number}"}
    gated = [event.gated for event in events(usage)]
    assert gated == [False, False, *[True] * 6]


def test_starlette_gates_methods_and_applications(bank: Bank, doors: list[Any]) -> None:
    usage = ASGITollkeeper(sink=BankSink(bank))
    doors.append(usage)

    class User(HTTPEndpoint):
        @usage.require_subscription()
        async def get(self, request: Request) -> PlainTextResponse:
            return await user(request)

    @usage.require_subscription(endpoint="/files/{path}")
    async def files(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("file")(scope, receive, send)

    app = usage.middleware(Starlette(routes=[Route("/user", User), Mount("/files", app=files)]))
    assert statuses(app, "/user") == [200, 429]
    bank.room = MICRO
    assert statuses(app, "/files/a") == [200, 429]
    assert endpoints(bank)[-1] == "/files/{path}"


def test_in_an_unknown_framework_views_are_refused_around_it(bank: Bank, doors: list[Any]) -> None:
    usage = ASGITollkeeper(sink=BankSink(bank))
    doors.append(usage)

    @usage.require_subscription()
    async def view() -> str:
        return "hello"

    async def framework(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(await view())(scope, receive, send)

    assert statuses(usage.middleware(framework), "/") == [200, 429]


def test_views_are_required_before_the_app_is_wrapped(bank: Bank, doors: list[Any]) -> None:
    usage = ASGITollkeeper(sink=BankSink(bank))
    doors.append(usage)
    usage.middleware(Starlette())
    with pytest.raises(ConfigurationError, match="has wrapped an app already"):
        usage.require_subscription()


def test_a_view_that_no_keeper_is_around_is_undecided(bank: Bank, doors: list[Any]) -> None:
    usage = ASGITollkeeper(sink=BankSink(bank), on_failure="deny")
    doors.append(usage)
    required = usage.require_subscription()
    app = Starlette(routes=[Route("/", required(user))])
    with pytest.raises(Exception, match="503"):
        ask(app, ("/", KEY))
    with pytest.raises(Exception, match="503"):
        required()
    with pytest.raises(Exception, match="503"):
        required(lambda: "sync")()


def test_before_there_is_a_service_asgi_views_are_open() -> None:
    usage = ASGITollkeeper(sink="memory:")
    usage._open_guard = None
    required = usage.require_subscription()
    assert required() is None
    assert required(lambda: "open")() == "open"
    assert statuses(usage.middleware(Starlette(routes=[Route("/", required(user))])), "/") == [200, 200]


def test_litestar_is_gated_inside_and_outside(doors: list[Any]) -> None:
    for inside in (True, False):
        bank = Bank(room=1)
        keeper = ASGITollkeeper(sink=BankSink(bank), gate=True)
        doors.append(keeper)

        @litestar_get("/users/{number:int}")
        async def one() -> dict[str, int]:
            return {"number": 1}

        app = Litestar([one], middleware=[keeper.middleware] if inside else [])
        gated: Any = app if inside else keeper.middleware(app)
        assert statuses(gated, "/users/1") == [200, 429]
        assert set(endpoints(bank)) == {"/users/{number}"}
        assert [event.route for event in events(keeper)] == ["/users/{number}"] * 2
        assert statuses(gated, "/users/1", headers={}) == [401, 401]


def test_litestar_gates_single_handlers(bank: Bank, doors: list[Any]) -> None:
    usage = ASGITollkeeper(sink=BankSink(bank))
    doors.append(usage)

    @litestar_get("/users/{number:int}")
    @usage.require_subscription()
    async def one() -> dict[str, int]:
        return {"number": 1}

    app = Litestar([one], middleware=[usage.middleware])
    admitted, refused = ask(app, ("/users/1", KEY), ("/users/1", KEY))
    assert (admitted.status_code, admitted.json()) == (200, {"number": 1})
    assert (refused.status_code, refused.headers["content-type"]) == (429, PROBLEM)


def test_quart_is_gated_around_and_view_by_view(doors: list[Any]) -> None:
    for everything in (True, False):
        bank = Bank(room=1)
        usage = ASGITollkeeper(sink=BankSink(bank), gate=everything)
        doors.append(usage)
        app = Quart("shop")

        async def one(number: int) -> dict[str, int]:
            return {"number": number}

        view = one if everything else usage.require_subscription()(one)
        app.add_url_rule("/users/<int:number>", view_func=view)
        app.asgi_app = usage.middleware(app.asgi_app)  # type: ignore[method-assign]  # how Quart takes a middleware
        assert statuses(app, "/users/1") == [200, 429]
        assert set(endpoints(bank)) == {"/users/{number}"}
        told = [(event.status_code, event.route, event.gated) for event in events(usage)]
        assert told == [(200, "/users/{number}", True), (429, "/users/{number}", True)]
        assert statuses(app, "/nowhere", 1) == [429 if everything else 404]


def test_asgi_functions_of_the_host_may_be_coroutines(doors: list[Any]) -> None:
    bank = Bank()

    async def key(request: Any) -> Any:
        return request.headers.get("x-token")

    usage = ASGITollkeeper(sink=BankSink(bank), gate=True, gate_key=key)
    doors.append(usage)
    app = usage.middleware(Starlette(routes=[Route("/", user)]))
    assert statuses(app, "/", headers={"X-Token": "t"}) == [200, 200]
    assert statuses(app, "/") == [401, 401]


def test_custom_routes_are_asked_before_the_app_answers(doors: list[Any]) -> None:
    bank = Bank()
    usage = ASGITollkeeper(
        Starlette(routes=[Route("/users/{id}", user)]),
        sink=BankSink(bank),
        gate=True,
        route=lambda scope: None if scope["path"] == "/users/2" else "/one/{id}",
    )
    doors.append(usage)
    ask(usage, ("/users/1", KEY), ("/users/2", KEY))
    assert endpoints(bank) == ["/one/{id}", None]


def test_leases_go_back_when_the_server_shuts_down(doors: list[Any]) -> None:
    bank = Bank()
    usage = ASGITollkeeper(Starlette(routes=[Route("/", user)]), sink=BankSink(bank), gate=True)
    doors.append(usage)
    sent: list[str] = []

    async def serve() -> None:
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Any:
            return {"type": next(messages)}

        async def send(message: Any) -> None:
            sent.append(f"{message['type']} {len(bank.open)}")

        assert usage.app is not None
        transport = httpx.ASGITransport(usage)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            await client.get("/", headers=KEY)
        await usage({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

    asyncio.run(serve())
    assert sent == ["lifespan.startup.complete 1", "lifespan.shutdown.complete 0"]


def test_what_is_no_request_passes(doors: list[Any]) -> None:
    seen: list[str] = []

    async def sockets(scope: Any, _: Any, __: Any) -> None:
        seen.append(scope["type"])

    usage = ASGITollkeeper(sockets, sink=BankSink(Bank()), gate=True)
    doors.append(usage)
    asyncio.run(usage({"type": "websocket"}, None, None))
    assert seen == ["websocket"]


# For the tests of users


def test_a_fake_gate_decides_for_the_tests_of_an_app(doors: list[Any]) -> None:
    app = flask_app()
    doors.append(FlaskTollkeeper(app, sink="http://127.0.0.1:9", gate=True))
    asgi = ASGITollkeeper(Starlette(routes=[Route("/", user)]), sink="http://127.0.0.1:9", gate=True)
    doors.append(asgi)
    with fake_gate() as gate:
        assert get(app, "/users/1", headers=KEY).status_code == 200
        gate.deny("quota_exceeded", retry_after=30)
        gate.deny("api_key_revoked", key="other")
        gate.deny("no_subscription", endpoint="/")
        assert get(app, "/users/1", headers=KEY).headers["Retry-After"] == "30"
        assert get(app, "/users/1", headers={"X-API-Key": "other"}).status_code == 401
        assert statuses(asgi, "/", 1) == [403]
        gate.admit()
        assert statuses(asgi, "/", 1) == [200]
        with pytest.raises(ValueError, match="is no code"):
            gate.deny("nothing")
    assert [call.endpoint for call in gate.calls] == ["/users/{user_id}"] * 3 + ["/", "/"]
    assert gate.calls[0].units == 1


# What may go wrong around it


class Unreadable:
    def __str__(self) -> str:
        raise LookupError


def fails(_: Any) -> str:
    raise LookupError


async def fails_later(_: Any) -> str:
    raise LookupError


@pytest.mark.parametrize("key", [fails, fails_later, lambda _: Unreadable()])
def test_who_breaks_the_function_of_the_key_has_none_on_a_loop(doors: list[Any], key: Any) -> None:
    usage = ASGITollkeeper(sink=BankSink(Bank()), gate=True, gate_key=key, api=fails)
    doors.append(usage)
    assert statuses(usage.middleware(Starlette(routes=[Route("/", user)])), "/") == [401, 401]
    assert usage.stats().errors["gate_key"] == 2


@pytest.mark.parametrize("key", [fails, lambda _: Unreadable()])
def test_who_breaks_the_function_of_the_key_has_none(doors: list[Any], key: Any) -> None:
    app = flask_app()
    usage = FlaskTollkeeper(app, sink=BankSink(Bank()), gate=True, gate_key=key, api=fails)
    doors.append(usage)
    assert get(app, "/users/1", headers=KEY).status_code == 401
    assert usage.stats().errors["gate_key"] == 1


@pytest.mark.parametrize("api", [fails, fails_later])
def test_when_it_cannot_be_told_what_is_called_the_option_decides(doors: list[Any], api: Any) -> None:
    usage = ASGITollkeeper(sink=BankSink(Bank()), gate=True, api=api)
    doors.append(usage)
    assert statuses(usage.middleware(Starlette(routes=[Route("/", user)])), "/") == [200, 200]
    assert usage.stats().errors["gate_undecided"] == 2


def test_views_of_one_app_may_be_required_twice(doors: list[Any]) -> None:
    bank = Bank(room=100)
    usage = ASGITollkeeper(sink=BankSink(bank), gate=True)
    doors.append(usage)
    required = usage.require_subscription(units=3)
    app = usage.middleware(Starlette(routes=[Route("/", required(required(user)))]))
    assert statuses(app, "/") == [200, 200]
    usage.close(5)
    assert bank.used == 6 * MICRO


def test_what_is_counted_on_a_lease_and_then_not_known_counts_by_its_event(doors: list[Any]) -> None:
    bank = Bank(room=100)
    usage = ASGITollkeeper(sink=BankSink(bank), gate=True)
    doors.append(usage)
    app = usage.middleware(Starlette(routes=[Route("/", usage.require_subscription(units=0)(user))]))
    assert statuses(app, "/") == [200, 200]
    assert [event.gated for event in events(usage)] == [False, False]
    usage.close(5)
    assert bank.used == 0


def test_headers_that_can_be_read_once_are_left_to_the_app(doors: list[Any]) -> None:
    seen: list[Any] = []

    async def app(scope: Any, _: Any, __: Any) -> None:
        seen.extend(scope["headers"])

    usage = ASGITollkeeper(app, sink=BankSink(Bank()), gate=True, exclude=["GET"])
    doors.append(usage)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": iter([(b"x-api-key", b"k")])}
    asyncio.run(usage(scope, None, None))
    assert seen == [(b"x-api-key", b"k")]


def test_a_loop_that_is_not_of_asyncio_shuts_down_all_the_same(doors: list[Any]) -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "lifespan.shutdown.complete"})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    usage = ASGITollkeeper(app, sink=BankSink(Bank()), gate=True)
    doors.append(usage)
    with pytest.raises(StopIteration):
        usage({"type": "lifespan"}, None, send).send(None)
    assert sent == ["lifespan.shutdown.complete"]


def test_wsgi_apps_are_open_before_there_is_a_service(bank: Bank, doors: list[Any]) -> None:
    usage = WSGITollkeeper(hello, sink=BankSink(bank), gate=True)
    doors.append(usage)
    usage._guard = None
    assert wsgi_get(usage, "/a")[0] == 200


def test_routes_of_long_paths_are_not_remembered() -> None:
    app = Starlette(routes=[Route("/files/{path:path}", user)])
    find = RouteFinder(app)
    for path, method in {"/files/a": "GET", "/files/" + "a" * 512: "GET", "/files/b": "G" * 512}.items():
        found = find({"type": "http", "path": path, "method": method, "headers": [], "root_path": "", "app": app})
        assert found == "/files/{path}"
    assert list(find._known) == [("GET", "/files/a", "")]


def test_an_odd_status_has_a_line_of_its_own() -> None:
    denial = Denial(status=499, code="odd", detail="odd")
    assert refuse(denial, Verdict(denial=denial)).line == "499 Refused"


def test_uses_are_written_down_in_a_folder_that_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def folder(bank: Bank, **config: object) -> Path | None:
        app = flask_app()
        app.config.update(config)
        door = FlaskTollkeeper(app, sink=BankSink(bank), gate=True)
        assert door._guard is not None
        door.close(0)
        return door._guard.gate._desk._folder

    private = tmp_path / f"tollkeeper-gate-{os.geteuid()}"
    found = folder(Bank())
    assert found is not None
    assert (found.parent, private.stat().st_mode & 0o777) == (private, 0o700)
    other = Bank()
    other.place = "another service"
    assert folder(other) != found
    spooled = folder(Bank(), TOLLKEEPER_SPOOL=str(tmp_path / "spool"))
    assert spooled is not None
    assert spooled.parent == tmp_path / "spool" / "gate"
    private.chmod(0o755)
    assert folder(Bank()) is None
    assert f"{private} is no folder of this user alone" in caplog.text
    private.rmdir()
    private.symlink_to(tmp_path)
    assert folder(Bank()) is None
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert folder(Bank()) is None
    monkeypatch.delattr(os, "geteuid")
    assert folder(Bank()) is None
