"""The decorator: what is written, when, under which id, and what becomes of failures."""

from __future__ import annotations

import inspect
import logging
import uuid
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest
from flask import Flask, abort, g
from flask.views import MethodView

from compat.flask_chest.apps import FailingChest, MemoryChest, make_app
from tollkeeper.compat.flask_chest import FlaskChest, flask_chest
from tollkeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


def ids(chest: MemoryChest) -> list[str]:
    return [request_id for written in chest.writes for _, _, request_id in written]


def fail() -> str:
    raise ValueError("no more numbers")


def test_the_parameters_are_those_of_the_document() -> None:
    parameters = inspect.signature(flask_chest).parameters
    assert list(parameters) == ["chests", "tracked_vars", "request_id_generator", "raise_exceptions"]
    assert parameters["tracked_vars"].default is None
    assert parameters["raise_exceptions"].default is True
    assert uuid.UUID(parameters["request_id_generator"].default()).version == 4


def test_the_id_is_made_before_the_view_as_a_string() -> None:
    chest, seen = MemoryChest(), []
    app = Flask("shop")

    @app.get("/")
    @flask_chest([chest], {"GET": ["user"]}, lambda: 4711)
    def index() -> str:
        seen.append(g.custom_request_id)
        g.user = "ada"
        return ""

    app.test_client().get("/")
    assert seen == ["4711"]
    assert chest.writes == [[("user", "ada", "4711")]]


def test_without_a_generator_the_id_is_a_uuid4() -> None:
    chest = MemoryChest()
    for options in ({}, {"request_id_generator": None}):
        make_app([chest], {"user": "ada"}, **options).test_client().get("/")
    assert [uuid.UUID(made).version for made in ids(chest)] == [4, 4]
    assert len(set(ids(chest))) == 2


def test_an_id_has_at_most_255_characters() -> None:
    chest = MemoryChest()
    make_app([chest], {"user": "ada"}, request_id_generator=lambda: "ü" * 300).test_client().get("/")
    assert ids(chest) == ["ü" * 255]


def test_what_no_database_takes_is_spelled_out() -> None:
    chest = MemoryChest()
    half = "\ud83d"
    made = [f"{half}1", half * 255]
    for request_id in made:
        app = make_app([chest], {"variables": {half: half}}, None, request_id_generator=iter([request_id]).__next__)
        app.test_client().get("/")
    assert chest.writes == [[("\\ud83d", half, "\\ud83d1")], [("\\ud83d", half, ("\\ud83d" * 255)[:255])]]


def test_an_id_that_the_view_sets_is_the_one() -> None:
    chest = MemoryChest()
    make_app([chest], {"user": "ada", "custom_request_id": 17}, {"GET": ["user"]}).test_client().get("/")
    assert chest.writes == [[("user", "ada", "17")]]


def test_chests_are_written_after_the_view_returns() -> None:
    order: list[str] = []
    chest = MagicMock(spec=["write"])
    chest.write.side_effect = lambda _: order.append("chest")
    app = Flask("shop")

    @app.get("/")
    @flask_chest([chest], {"GET": ["user"]})
    def index() -> str:
        order.append("view")
        return "Hello, World!"

    assert app.test_client().get("/").data == b"Hello, World!"
    assert order == ["view", "chest"]


def test_missing_names_are_skipped_and_order_is_kept() -> None:
    chest = MemoryChest()
    make_app([chest], {"a": 1, "b": 2, "c": 3}, {"GET": ["c", "nowhere", "get", "a", "b"]}).test_client().get("/")
    assert chest.variables == [("c", 3), ("a", 1), ("b", 2)]


def test_falsy_values_are_written() -> None:
    chest = MemoryChest()
    falsy: dict[str, Any] = {"none": None, "zero": 0, "float": 0.0, "empty": "", "no": False, "list": [], "dict": {}}
    make_app([chest], falsy).test_client().get("/")
    assert chest.variables == list(falsy.items())


def test_a_method_maps_to_its_variables_in_capitals_or_not() -> None:
    chest = MemoryChest()
    tracked = {"get": ["a"], "GET": ["b"], "POST": ["b", "a"]}
    client = make_app([chest], {"a": 1, "b": 2}, tracked).test_client()
    client.get("/")
    client.post("/")
    assert [[name for name, _, _ in written] for written in chest.writes] == [["a", "b"], ["b", "a"]]


def test_a_method_that_is_not_tracked_writes_nothing() -> None:
    chest = MemoryChest()
    client = make_app([chest], {"a": 1}, {"POST": ["a"]}).test_client()
    assert client.get("/").status_code == 200
    assert client.head("/").status_code == 200
    assert chest.writes == []


def test_none_writes_every_variable_that_the_app_put_on_g() -> None:
    chest = MemoryChest()
    client = make_app([chest], {"a": 1, "b": None, "_login_user": "of an extension"}, None).test_client()
    client.get("/")
    client.post("/")
    assert chest.variables == [("a", 1), ("b", None)] * 2


def test_none_writes_those_of_g_variables_where_that_is_a_mapping() -> None:
    chest = MemoryChest()
    make_app([chest], {"a": 1, "variables": {"b": 2, "a": 3}}, None).test_client().get("/")
    make_app([chest], {"variables": "not a mapping"}, None).test_client().get("/")
    assert chest.variables == [("a", 3), ("b", 2), ("variables", "not a mapping")]


@pytest.mark.parametrize("leave", [lambda: abort(418), lambda: 1 / 0], ids=["abort", "raise"])
def test_a_view_that_raises_or_aborts_writes_nothing(leave: Callable[[], Any]) -> None:
    chest = MemoryChest()
    app = Flask("shop")

    @app.get("/")
    @flask_chest([chest], None)
    def index() -> str:
        g.user = "ada"
        leave()
        return ""

    assert app.test_client().get("/").status_code in {418, 500}
    assert chest.writes == []


def test_raise_exceptions_the_first_failing_chest_gives_the_exception() -> None:
    before, after = MemoryChest(), MemoryChest()
    app = make_app([before, FailingChest("first"), FailingChest("second"), after], {"user": "ada"})
    assert app.test_client().get("/").status_code == 500
    app.testing = True
    with pytest.raises(OSError, match="first: 1"):
        app.test_client().get("/")
    assert len(before.writes) == 2
    assert after.writes == []


def test_without_raise_exceptions_the_others_are_written_and_the_response_returned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing, other = FailingChest(), MemoryChest()
    client = make_app([failing, other], {"user": "ada"}, raise_exceptions=False).test_client()
    for _ in range(3):
        answer = client.get("/")
        assert (answer.status_code, answer.data) == (200, b"Hello, World!")
    assert len(other.writes) == 3
    assert failing.lost == 3
    assert [(record.levelname, record.name) for record in caplog.records] == [("ERROR", "flask_chest")]
    assert "the chest is locked" in caplog.text


def test_a_chest_of_any_other_class_may_fail_too(caplog: pytest.LogCaptureFixture) -> None:
    chest = MagicMock(spec=["write"])
    chest.write.side_effect = OSError("the chest is locked")
    assert make_app([chest], {"a": 1}, raise_exceptions=False).test_client().get("/").status_code == 200
    assert "the chest is locked" in caplog.text


def test_variables_that_cannot_be_read_are_not_written(caplog: pytest.LogCaptureFixture) -> None:
    class Unreadable:
        def __str__(self) -> str:
            raise OSError("unreadable")

    chest = MemoryChest()
    variables = {"custom_request_id": Unreadable()}
    assert make_app([chest], variables, raise_exceptions=False).test_client().get("/").status_code == 200
    assert make_app([chest], variables).test_client().get("/").status_code == 500
    assert "not written" in caplog.text
    assert chest.writes == []


def test_a_failing_handler_of_the_host_does_not_reach_the_request() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError(record.name)

    chest = FailingChest()
    chest.logger = logging.getLogger("flask_chest.broken")
    chest.logger.addHandler(broken := Broken())
    assert make_app([chest], {"a": 1}, raise_exceptions=False).test_client().get("/").status_code == 200
    chest.logger.removeHandler(broken)
    assert chest.lost == 1


def test_a_failing_id_generator_falls_back_to_uuid4_without_raise_exceptions(caplog: pytest.LogCaptureFixture) -> None:
    chest = MemoryChest()
    app = make_app([chest], {"user": "ada"}, request_id_generator=fail, raise_exceptions=False)
    assert app.test_client().get("/").status_code == 200
    assert uuid.UUID(ids(chest)[0]).version == 4
    assert "request_id_generator" in caplog.text


def test_a_failing_id_generator_raises_before_the_view_with_raise_exceptions() -> None:
    chest = MemoryChest()
    app = make_app([chest], {"user": "ada"}, request_id_generator=fail)
    app.testing = True
    with pytest.raises(ValueError, match="no more numbers"):
        app.test_client().get("/")
    assert chest.writes == []


def test_async_views_work() -> None:
    chest = MemoryChest()
    app = Flask("shop")

    @app.get("/<name>")
    @flask_chest([chest], {"GET": ["user"]}, lambda: "1")
    async def index(name: str) -> str:
        g.user = name
        return name

    assert app.test_client().get("/ada").data == b"ada"
    assert chest.writes == [[("user", "ada", "1")]]


def test_methods_of_class_based_views_work() -> None:
    chest = MemoryChest()
    app = Flask("shop")

    class Orders(MethodView):
        @flask_chest([chest], None, lambda: "1")
        def get(self, number: int) -> str:
            g.number = number
            return str(number)

    app.add_url_rule("/orders/<int:number>", view_func=Orders.as_view("orders"))
    assert app.test_client().get("/orders/17").data == b"17"
    assert chest.writes == [[("number", 17, "1")]]


def test_the_view_keeps_its_name() -> None:
    app = make_app([], {})
    assert app.view_functions["index"].__name__ == "index"


def test_chests_that_are_added_later_are_written() -> None:
    chests: list[FlaskChest] = []
    app = make_app(chests, {"a": 1})
    chest = MemoryChest()
    chests.append(chest)
    app.test_client().get("/")
    assert chest.variables == [("a", 1)]


def test_each_chest_has_a_list_of_its_own() -> None:
    greedy, other = MagicMock(spec=["write"]), MemoryChest()
    greedy.write.side_effect = lambda variables: variables.clear()
    make_app([greedy, other], {"a": 1}).test_client().get("/")
    assert other.variables == [("a", 1)]


@pytest.mark.parametrize("tracked", [["a"], "a", {"GET": "a"}], ids=repr)
def test_tracked_vars_of_another_shape_are_refused_at_decoration(tracked: Any) -> None:
    with pytest.raises(ConfigurationError, match="map methods to lists"):
        flask_chest([], tracked)


def test_a_chest_of_ones_own_needs_a_write() -> None:
    class Mine(FlaskChest):
        def __init__(self) -> None:
            """Do not call that of the base."""

    chest = Mine()
    assert make_app([chest], {"a": 1}, raise_exceptions=False).test_client().get("/").status_code == 200
    assert chest.lost == 1
    with pytest.raises(NotImplementedError, match="Mine has no write"):
        chest.write([])
    chest.close()
    assert "Mine" in str(chest)


def test_the_import_paths_of_flask_chest_are_kept() -> None:
    from tollkeeper.compat.flask_chest import FlaskChestSQLite, chests, decorator  # noqa: PLC0415 - what is shown

    assert decorator.flask_chest is flask_chest
    assert chests.FlaskChestSQLite is FlaskChestSQLite
    assert issubclass(FlaskChestSQLite, chests.FlaskChest)
