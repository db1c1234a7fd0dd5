from __future__ import annotations

import asyncio
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import pytest
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from support.django_project import Project
from support.leasing import Bank, BankSink
from tollkeeper.django import Tollkeeper, keeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


KEY = {"X-API-Key": "secret"}
PROBLEM = "application/problem+json"
URLS = "gated_project_urls"


class Gated(Project):
    """A Django project whose gate asks a bank."""

    def __init__(self, bank: Bank, **options: Any) -> None:
        self.bank = bank
        sink = BankSink(bank)
        super().__init__(middleware=(), ROOT_URLCONF=URLS, sink=sink, **options)
        self.sink = sink

    def __enter__(self) -> Self:
        super().__enter__()
        module: Any = ModuleType(URLS)
        module.urlpatterns = urls()
        sys.modules[URLS] = module
        return self

    def __exit__(self, *_: object) -> None:
        keeper().close(1)
        super().__exit__()
        del sys.modules[URLS]


def urls() -> list[Any]:
    usage = keeper()

    async def one_async(_: Any, number: int) -> HttpResponse:
        return HttpResponse(str(number))

    @method_decorator(usage.require_subscription(), name="dispatch")
    class Every(View):  # type: ignore[misc]  # Django has no types
        def get(self, _: Any) -> HttpResponse:
            return HttpResponse("every")

    class Some(View):  # type: ignore[misc]  # Django has no types
        def get(self, _: Any) -> HttpResponse:
            return HttpResponse("free")

        @usage.require_subscription(endpoint="/some")
        def post(self, _: Any) -> HttpResponse:
            return HttpResponse("paid")

    return [
        path("users/<int:number>/", lambda _, number: HttpResponse(str(number))),
        path("async/<int:number>/", one_async),
        path("paid/", usage.require_subscription()(lambda _: HttpResponse("paid"))),
        path("paid-async/<int:number>/", usage.require_subscription()(one_async)),
        path("every/", Every.as_view()),
        path("some/", Some.as_view()),
    ]


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Gated]]:
    monkeypatch.setattr("tollkeeper.django._opened", [])
    entered: list[Gated] = []

    def enter(**options: Any) -> Gated:
        entered.append(Gated(Bank(room=1), **options).__enter__())
        return entered[-1]

    yield enter
    for each in reversed(entered):
        each.__exit__()


def call(target: str, *, is_async: bool, method: str = "get", **headers: str) -> Any:
    if is_async:
        return asyncio.run(getattr(AsyncClient(), method)(target, headers=headers))
    return getattr(Client(), method)(target, headers=headers)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_project_is_gated_before_its_views(project: Callable[..., Gated], *, is_async: bool) -> None:
    running = project(gate=True, gate_headers=True)
    admitted = call("/users/1/", is_async=is_async, **KEY)
    assert (admitted.status_code, admitted.headers["RateLimit"]) == (200, '"all month";r=0;t=60')
    refused = call("/users/2/", is_async=is_async, **KEY)
    assert (refused.status_code, refused.headers["Content-Type"]) == (429, PROBLEM)
    assert (refused.json()["code"], refused.headers["Retry-After"]) == ("quota_exceeded", "60")
    assert call("/async/1/", is_async=is_async).status_code == 401
    assert call("/nowhere/", is_async=is_async).status_code == 404
    assert running.bank.takes[0].endpoint == "/users/{number}/"
    told = [(event.status_code, event.route, event.gated) for event in running.events()]
    assert told == [
        (200, "/users/{number}/", True),
        (429, "/users/{number}/", True),
        (401, "/async/{number}/", True),
        (404, "(unmatched)", False),
    ]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("target", ["/paid/", "/paid-async/1/", "/every/"])
def test_single_views_are_gated(project: Callable[..., Gated], target: str, *, is_async: bool) -> None:
    running = project()
    assert call("/users/1/", is_async=is_async).status_code == 200
    assert [call(target, is_async=is_async, **KEY).status_code for _ in range(2)] == [200, 429]
    assert running.bank.takes[0].endpoint == target.replace("1", "{number}")


def test_single_methods_are_gated(project: Callable[..., Gated]) -> None:
    running = project()
    assert call("/some/", is_async=False).status_code == 200
    assert [call("/some/", is_async=False, method="post", **KEY).status_code for _ in range(2)] == [200, 429]
    assert running.bank.takes[0].endpoint == "/some"


@pytest.mark.parametrize("is_async", [False, True])
def test_functions_of_the_project_say_whose_call_it_is(project: Callable[..., Gated], *, is_async: bool) -> None:
    async def key(request: Any) -> str | None:
        return request.headers.get("X-Token") or None

    project(gate=True, gate_key=key)
    assert call("/users/1/", is_async=is_async, **{"X-Token": "t"}).status_code == 200
    assert call("/users/1/", is_async=is_async, **KEY).status_code == 401


def test_without_a_gate_django_calls_nothing_before_a_view(project: Callable[..., Gated]) -> None:
    project()
    assert not hasattr(Tollkeeper(lambda request: request), "process_view")


def test_before_there_is_a_service_views_are_open(
    project: Callable[..., Gated], monkeypatch: pytest.MonkeyPatch
) -> None:
    project()
    monkeypatch.setattr(keeper(), "_guard", None)
    for is_async in (False, True):
        assert call("/paid/", is_async=is_async).status_code == 200
        assert call("/paid-async/1/", is_async=is_async).status_code == 200
