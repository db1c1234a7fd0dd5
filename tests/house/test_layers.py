"""Who may know whom: the contracts hold, cover every room, and each of them breaks when it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from house.tree import PACKAGE, ROOT

CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]["contracts"]
NAMES = {contract["id"]: contract["name"] for contract in CONTRACTS}


class Violation(NamedTuple):
    """An import that must not be, where it is planted, and the contract that it breaks."""

    contract: str
    module: str
    planted: str


VIOLATIONS = [
    Violation("server-layers", "metering/window.py", "import tollkeeper.store.protocols"),
    Violation("server-layers", "service/ingest.py", "import tollkeeper.api.problems"),
    Violation("server-layers", "store/schema.py", "from tollkeeper.service import usage"),
    Violation("server-layers", "dashboard/pages.py", "import tollkeeper.api.problems"),
    Violation("client-layers", "capture/queue.py", "import tollkeeper.sinks.memory"),
    Violation("client-layers", "sinks/memory.py", "import tollkeeper.flask"),
    Violation("client-is-light", "capture/queue.py", "import tollkeeper.store.protocols"),
    Violation("client-is-light", "sinks/sqlite.py", "import sqlalchemy"),
    Violation("client-is-light", "flask.py", "import numpy"),
    Violation("server-knows-no-capture", "service/ingest.py", "import tollkeeper.sinks.collector"),
    Violation("server-knows-no-capture", "api/events.py", "import tollkeeper.capture.queue"),
    Violation("server-knows-no-capture", "leases/desk.py", "import tollkeeper.capture.queue"),
    Violation("client-layers", "folders/files.py", "import tollkeeper.events.lease"),
    Violation("client-is-light", "leases/book.py", "import tollkeeper.store.protocols"),
    Violation("pure-domain", "events/codec.py", "import socket"),
    Violation("pure-domain", "metering/usage.py", "import sqlite3"),
    Violation("pure-domain", "billing/plan.py", "import threading"),
    Violation("event-stores", "store/sqlite/events.py", "import tollkeeper.store.postgresql.events"),
    Violation("client-layers", "wsgi.py", "import tollkeeper.compat.flask_api_usage"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of pyproject.toml on the sources in a folder."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {"PYTHONPATH": str(folder / "src"), "PATH": "", "NO_COLOR": "1", "PYTHONUTF8": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "src" / "tollkeeper", ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold(copy: Path) -> None:
    result = lint(copy)
    assert result.returncode == 0, result.stdout + result.stderr
    for name in NAMES.values():
        assert f"{name} KEPT" in result.stdout


@pytest.mark.parametrize("violation", VIOLATIONS, ids=lambda planted: f"{planted.module}: {planted.planted}")
def test_a_violation_breaks_its_contract(copy: Path, violation: Violation) -> None:
    module = copy / "src" / "tollkeeper" / violation.module
    future = "from __future__ import annotations\n"
    text = module.read_text(encoding="utf-8")
    assert future in text
    module.write_text(text.replace(future, f"{future}{violation.planted}\n", 1), encoding="utf-8")
    result = lint(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{NAMES[violation.contract]} BROKEN" in result.stdout


def test_every_contract_is_seen_to_break() -> None:
    assert {violation.contract for violation in VIOLATIONS} == NAMES.keys()


def test_every_room_and_door_has_its_layer() -> None:
    ours = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    layered = {
        name.strip().removeprefix("tollkeeper.")
        for contract in CONTRACTS
        if contract["type"] == "layers"
        for layer in contract["layers"]
        for name in layer.split("|")
    }
    assert ours - {"__init__"} == layered
