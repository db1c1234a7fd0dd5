"""The reference pages name all that there is: routes, parameters, commands, metrics, error codes, rooms and files."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.main import get_command

from docs.pages import ROOT
from support.served import Served, served
from tollkeeper import errors
from tollkeeper.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = ROOT / "src" / "tollkeeper"
FILE = re.compile(r"`([\w/]+(?:\.py|\.md|/))`")
DIRECTORIES_BESIDE_THE_PACKAGE = ("", "src/tollkeeper/")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def commands(command: Any, path: str) -> Iterator[str]:
    below: dict[str, Any] = getattr(command, "commands", {})
    if not below:
        yield path
    for name, found in below.items():
        yield from commands(found, f"{path} {name}")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    with served(tmp_path_factory.mktemp("reference")) as running:
        yield running


def get(service: tuple[Served, str], path: str) -> httpx.Response:
    running, token = service
    return httpx.get(running.url + path, headers={"Authorization": f"Bearer {token}"}).raise_for_status()


def test_every_route_and_parameter_is_in_a_page_of_the_api(service: tuple[Served, str]) -> None:
    names = "api catalogue tags usage-reports alerts gate jobs selling invoices revenue"
    text = "".join(page(f"{name}.md") for name in names.split())
    missing = []
    for path, item in get(service, "/openapi.json").json()["paths"].items():
        for method, operation in item.items():
            heading = f"`{method.upper()} {path}`"
            missing += [] if heading in text else [heading]
            parameters = [parameter["name"] for parameter in operation.get("parameters", [])]
            missing += [f"{heading} {name}" for name in parameters if f"`{name}" not in text]
    assert missing == []


def test_every_error_code_is_in_the_api_page() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    codes = {kind.code for kind in classes if issubclass(kind, errors.InvalidRequestError)}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                codes.add(str(node.value.value))
    assert "overloaded" in codes
    assert [code for code in sorted(codes) if f"`{code}`" not in page("api.md")] == []


def test_every_metric_is_in_the_operations_page(service: tuple[Served, str]) -> None:
    names = re.findall(r"(?m)^# TYPE (\S+)", get(service, "/metrics").text)
    assert names
    assert [name for name in names if f"`{name}" not in page("operations.md")] == []


def test_every_command_is_on_a_page() -> None:
    text = " ".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    found = list(commands(get_command(app), "tollkeeper"))
    assert len(found) > 5
    assert [command for command in found if command not in text] == []


def test_the_architecture_names_every_room_and_door_and_only_files_that_exist() -> None:
    text = page("architecture.md")
    rooms = [f"{path.name}/" for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()]
    doors = [path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]
    assert [name for name in sorted(rooms + doors) if f"`{name}" not in text] == []
    named = set(FILE.findall(text))
    assert named
    exists = {name for name in named for base in DIRECTORIES_BESIDE_THE_PACKAGE if (ROOT / base / name).exists()}
    assert named - exists == set()
