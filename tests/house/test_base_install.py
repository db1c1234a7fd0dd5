"""What lives in other people's apps needs msgspec, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

from house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BASE_ONLY = """
import importlib, pkgutil, sys

ALLOWED = sys.stdlib_module_names | {"tollkeeper", "msgspec"}

class Base:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"{name} is not in the base install", name=name)

sys.meta_path.insert(0, Base())
"""
IMPORT_ALL = """
for room in ("tollkeeper.events", "tollkeeper.capture", "tollkeeper.sinks"):
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, room + "."):
        importlib.import_module(module.name)
        print(module.name)
import tollkeeper.settings, tollkeeper.errors
"""
CAPTURE = """
import sqlite3
from tollkeeper.capture.lane import Destination
from tollkeeper.capture.options import CaptureOptions
from tollkeeper.capture.recorder import Recorder
from tollkeeper.capture.queue import QueueLimits
from tollkeeper.capture.wsgi import WSGIObserver
from tollkeeper.sinks.url import sink_from_url

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"password": "hunter2"}']

sink = sink_from_url("sqlite:///usage.db")
recorder = Recorder({"sqlite": Destination(sink)}, CaptureOptions(), QueueLimits())
observed = WSGIObserver(application, recorder, "app", lambda exchange, environ: None)
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/things/1", "wsgi.url_scheme": "http", "HTTP_HOST": "localhost",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
answer = observed(environ, lambda status, headers, exc_info=None: None)
assert b"".join(answer) == b'{"password": "hunter2"}'
if hasattr(answer, "close"):
    answer.close()
assert recorder.close(10), recorder.stats()
print(*sqlite3.connect("usage.db").execute("SELECT path, status_code, document NOT LIKE '%hunter2%' FROM usage_events"))
"""


def run_on_base_install(code: str, folder: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", BASE_ONLY + code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_asks_for_msgspec_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [requirement.partition(">")[0] for requirement in project["dependencies"]] == ["msgspec"]


def test_every_module_of_the_client_imports(tmp_path: Path) -> None:
    assert len(run_on_base_install(IMPORT_ALL, tmp_path).split()) > 10


def test_a_request_is_captured(tmp_path: Path) -> None:
    assert run_on_base_install(CAPTURE, tmp_path).strip() == "('/things/1', 200, 1)"


def test_what_is_not_in_the_base_install_is_seen(tmp_path: Path) -> None:
    code = "try:\n    import numpy\nexcept ModuleNotFoundError as error:\n    print(error)\n"
    assert run_on_base_install(code, tmp_path) == "numpy is not in the base install\n"
