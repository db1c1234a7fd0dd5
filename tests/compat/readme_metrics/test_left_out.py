"""What is not logged; the response is the same all the while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tollkeeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.readme import ReadMe


def fail(_request: object) -> Any:
    raise RuntimeError("no such account")


@pytest.mark.parametrize(
    "grouping_function",
    [
        lambda _: None,
        lambda _: ["owlbert"],
        lambda _: "owlbert",
        lambda _: {"label": "Owlbert"},
        lambda _: {"api_key": None},
        fail,
    ],
    ids=["None", "a list", "a text", "no id", "an id of None", "raises"],
)
def test_a_request_whose_group_is_of_no_use(
    watch: Any, service: ReadMe, grouping_function: Callable[[object], Any]
) -> None:
    watched = watch(grouping_function=grouping_function, base_log_url="https://docs.example.com")
    response = watched.call(buffered=True)
    assert response.status_code == 200
    assert response.get_json()["city"] == "Berlin"
    assert "x-documentation-url" not in response.headers
    assert watched.metrics.flush(1)
    assert watched.metrics.stats().excluded == 1
    assert service.posts == []


def test_options_is_not_logged(watch: Any, service: ReadMe) -> None:
    watched = watch()
    assert watched.call("/", "OPTIONS", buffered=True).status_code == 200
    assert watched.metrics.stats().excluded == 1
    assert service.posts == []


def test_hosts_are_compared_exactly_with_their_port(watch: Any, service: ReadMe) -> None:
    watched = watch(allowed_http_hosts=["api.example.com:8080"])
    for host in ("api.example.com", "API.example.com:8080", "other.example.com:8080"):
        response = watched.call("/", environ_overrides={"HTTP_HOST": host}, buffered=True)
        assert response.status_code == 200
    assert watched.metrics.stats().excluded == 3
    assert service.posts == []
    assert watched.log("/", base_url="http://api.example.com:8080")


def test_an_empty_list_of_hosts_allows_all(watch: Any) -> None:
    assert watch(allowed_http_hosts=[]).log()


def test_a_view_may_leave_its_request_out(watch: Any, service: ReadMe) -> None:
    watched = watch()

    def private() -> str:
        tollkeeper.skip()
        return "private"

    watched.app.add_url_rule("/private", view_func=private)
    assert watched.call("/private", buffered=True).data == b"private"
    assert watched.metrics.stats().excluded == 1
    assert service.posts == []


def test_the_grouping_function_is_asked_once_a_request(watch: Any, service: ReadMe) -> None:
    asked: list[str] = []

    def group(request: Any) -> None:
        asked.append(request.path)

    watched = watch(grouping_function=group)
    for path in ("/", "/boom", "/missing"):
        watched.call(path, buffered=True)
    assert asked == ["/", "/boom", "/missing"]
    assert service.posts == []
