"""Apps whose views leave variables on ``g``, and a chest that keeps what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, g

from tollkeeper.compat.flask_chest import FlaskChest, flask_chest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.compat.flask_chest.chest import Variable

__all__ = ["FailingChest", "MemoryChest", "make_app"]


class MemoryChest(FlaskChest):
    """Keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[list[Variable]] = []

    def write(self, context_tuple_list: Sequence[Variable]) -> None:
        self.writes.append(list(context_tuple_list))

    @property
    def variables(self) -> list[tuple[str, Any]]:
        """Names and values, of all requests."""
        return [(name, value) for written in self.writes for name, value, _ in written]


class FailingChest(FlaskChest):
    """Takes nothing."""

    def __init__(self, message: str = "the chest is locked") -> None:
        super().__init__()
        self.message = message

    def write(self, context_tuple_list: Sequence[Variable]) -> None:
        raise OSError(f"{self.message}: {len(context_tuple_list)}")


def make_app(chests: Sequence[Any], variables: dict[str, Any], tracked: Any = ..., **options: Any) -> Flask:
    """An app whose ``/`` puts ``variables`` on ``g``; all of them are tracked for GET, unless told otherwise."""
    app = Flask("shop")
    tracked_vars = {"GET": list(variables)} if tracked is ... else tracked

    @app.route("/", methods=["GET", "POST"])
    @flask_chest(chests, tracked_vars, **options)
    def index() -> str:
        for name, value in variables.items():
            setattr(g, name, value)
        return "Hello, World!"

    return app
