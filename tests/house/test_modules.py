"""The shape of the code: small modules that export little, small functions, rooms that say what they are for."""

from __future__ import annotations

import ast
import statistics
from typing import TYPE_CHECKING

import pytest

from house.tree import PACKAGE, modules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEDIAN_LINES, SOFT_LINES, HARD_LINES = 120, 250, 400
FUNCTION_LINES = 40
MAX_EXPORTS = 5

LONG_MODULES = {
    "store/protocols.py": "all ports of the server stand on one page",
    "capture/queue.py": "the queue, its thread and its fork share one lock, which must not be spread over modules",
    "leases/book.py": "what a process holds, and owes word of, changes together: one class, one lock",
    "leases/desk.py": "the thread, its fork and who waits for it share one lock",
}
EXPORTS = {
    "errors.py": "the error tree is one page",
    "events/event.py": "the wire contract is one record and its parts",
    "store/protocols.py": "all ports of the server stand on one page",
    "cli/__main__.py": "it is run, not imported",
    "testing.py": "what the tests of an app need is imported from one place",
    "store/migrations/env.py": "Alembic runs it, nobody imports it",
}
ROOMS_WITH_CODE = {
    "__init__.py": "the package has a version",
    "cli/__init__.py": "a door: the command 'tollkeeper' enters here",
    "compat/flask_api_usage/__init__.py": "the name of the library that it replaces is imported from here",
    "compat/flask_chest/__init__.py": "the names of the library that it replaces are imported from here",
    "compat/readme_metrics/__init__.py": "the names of the library that it replaces are imported from here",
}
NO_ROOMS = {"utils", "util", "helpers", "helper", "common", "core", "managers", "manager", "misc", "base"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def exports(module: ast.Module) -> list[str] | None:
    for statement in module.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                names: list[str] = ast.literal_eval(statement.value)
                return names
    return None


def functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def rooms() -> dict[str, Path]:
    return {name: path for name, path in modules().items() if path.name == "__init__.py"}


def test_modules_are_small() -> None:
    sizes = {name: lines(path) for name, path in modules().items()}
    assert {name: size for name, size in sizes.items() if size > HARD_LINES} == {}
    over = {name for name, size in sizes.items() if size > SOFT_LINES}
    assert over == LONG_MODULES.keys(), f"over {SOFT_LINES} lines needs a reason in LONG_MODULES, and only that"
    with_code = [size for name, size in sizes.items() if not name.endswith("__init__.py")]
    assert statistics.median(with_code) <= MEDIAN_LINES


def test_functions_are_small() -> None:
    long = [
        f"{name}:{function.lineno} {function.name} has {size} lines"
        for name, path in modules().items()
        for function in functions(tree(path))
        if (size := (function.end_lineno or function.lineno) - function.lineno + 1) > FUNCTION_LINES
    ]
    assert long == []


def test_modules_export_one_to_five_names_that_they_define() -> None:
    wrong = {}
    for name, path in modules().items():
        if name in EXPORTS or path.name == "__init__.py":
            continue
        names = exports(tree(path))
        if names is None or not 1 <= len(names) <= MAX_EXPORTS:
            wrong[name] = names
    assert wrong == {}


@pytest.mark.parametrize("name", EXPORTS)
def test_an_exception_for_exports_is_still_needed(name: str) -> None:
    names = exports(tree(modules()[name]))
    assert names is not None
    assert not 1 <= len(names) <= MAX_EXPORTS


@pytest.mark.parametrize("name", rooms())
def test_a_room_says_its_purpose_in_one_sentence_and_nothing_else(name: str) -> None:
    module = tree(rooms()[name])
    purpose = ast.get_docstring(module) or ""
    assert purpose.endswith(".")
    assert "\n" not in purpose
    assert ". " not in purpose
    if name not in ROOMS_WITH_CODE:
        assert len(module.body) == 1, f"{name} holds more than its docstring"


def test_no_room_or_module_is_a_drawer_for_anything() -> None:
    allowed = {"sinks/base.py"}  # the port of the client, where the field looks for it
    named = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.stem in NO_ROOMS and (path.is_dir() or path.suffix == ".py")
    }
    assert named == allowed


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name, path in modules().items() if not ast.get_docstring(tree(path))] == []


def test_annotations_are_never_evaluated_at_import() -> None:
    future = "from __future__ import annotations"
    without = [
        name
        for name, path in modules().items()
        if path.name != "__init__.py"
        and future not in path.read_text(encoding="utf-8")
        and any(functions(tree(path)))
        and name not in {"errors.py", "cli/__main__.py"}
    ]
    assert without == []
