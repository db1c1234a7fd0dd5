"""``embed(app)`` in a real Flask app, in process and behind a real gunicorn."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from flask import Flask

from support.served import environment
from tollkeeper.embedded import embed
from tollkeeper.errors import ConfigurationError
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.reconcile import reconcile
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"http://[\w.]+:\w+(/\S*/login/[\w-]+)\n")
STARTED_AT_ONCE = 8
WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name == "a2wsgi":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
from tollkeeper.errors import MissingDependencyError
try:
    import tollkeeper.embedded
except MissingDependencyError as error:
    print(error)
"""
START = """
import sys, time
from pathlib import Path
from flask import Flask
from tollkeeper.embedded import embed

store, go = sys.argv[1:]
print("ready", flush=True)
while not Path(go).exists():
    time.sleep(0.001)
assert embed(Flask("shop"), store=store).close(10)
"""


def make_app(folder: Path) -> Flask:
    app = Flask("shop", instance_path=str(folder / "instance"))
    app.get("/items/<int:number>")(lambda number: {"item": number})
    return app


def test_one_line_gives_capture_store_and_dashboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app(tmp_path)
    tollkeeper = embed(app)
    client = app.test_client()
    for number in range(7):
        with client.get(f"/items/{number}") as answer:
            assert answer.json == {"item": number}
    assert tollkeeper.flush(10)

    link = LINK.search(capsys.readouterr().err)
    assert link
    assert client.get("/tollkeeper/", buffered=True).status_code == 401
    page = client.get(link[1], buffered=True)
    assert page.status_code == 200
    assert client.post(link[1], buffered=True).status_code in {302, 303}
    overview = client.get("/tollkeeper/", buffered=True)
    assert overview.status_code == 200
    assert "/items/{number}" in client.get("/tollkeeper/endpoints", buffered=True).text
    assert 'href="/requests"' not in overview.text  # each link stays below the prefix
    assert client.get("/tollkeeper/v1/events", buffered=True).json["events"][0]["route"] == "/items/{number}"  # type: ignore[index]  # JSON
    tollkeeper.close()

    service = open_service(Settings(store=f"sqlite:///{tmp_path}/instance/tollkeeper.db"))
    assert [row.stored for row in reconcile(service.events).books if row.stored] == [7]
    service.close()


def test_the_second_start_prints_no_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    embed(make_app(tmp_path)).close()
    assert LINK.search(capsys.readouterr().err)
    embed(make_app(tmp_path)).close()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("port", "place"), [("5001", "127.0.0.1:5001"), ("", "HOST:PORT")])
def test_the_link_names_a_port_only_when_it_is_known(
    tmp_path: Path,
    port: str,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FLASK_RUN_PORT", port)
    embed(make_app(tmp_path)).close()
    printed = capsys.readouterr().err
    assert f"http://{place}/tollkeeper/login/" in printed
    assert ("where this app runs" in printed) == (not port)


def test_what_is_not_installed_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False, timeout=60, env=environment()
    )
    assert done.stdout == "a2wsgi is not installed. Run: pip install 'tollkeeper[flask,server]'\n", done.stderr


@pytest.mark.timeout(180)
def test_workers_that_start_at_once_on_an_empty_store_all_start(tmp_path: Path) -> None:
    for number in range(4):
        store, go = f"sqlite:///{tmp_path}/{number}.db", tmp_path / f"go-{number}"
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", START, store, str(go)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
            )
            for _ in range(STARTED_AT_ONCE)
        ]
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
        go.touch()
        ended = [(worker.communicate(timeout=60)[1], worker.returncode) for worker in workers]
        assert [errors for errors, code in ended if code] == []
        assert any(LINK.search(errors) for errors, _ in ended)
        service = open_service(Settings(store=store))
        assert [token.name for token in service.catalog.tokens()] == ["admin"]
        service.close()


def test_prefix_store_and_capture_can_be_chosen(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    store = f"sqlite:///{tmp_path}/usage.db"
    tollkeeper = embed(app, prefix="/admin/usage", store=store, identify=lambda _: "acme", capture="metadata")
    with app.test_client() as client:
        client.get("/items/1", buffered=True)
        assert client.get("/admin/usage/healthz", buffered=True).json == {"status": "ok"}
        assert client.get("/tollkeeper/", buffered=True).status_code == 404
    assert tollkeeper.close(10)

    assert (tmp_path / "usage.db").exists()
    assert not (tmp_path / "instance").exists()


def test_a_store_that_cannot_be_opened_leaves_the_app_as_it_was(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    before = app.wsgi_app
    with pytest.raises(ConfigurationError, match="does not exist"):
        embed(app, store=f"sqlite:///{tmp_path}/nowhere/usage.db")

    assert app.wsgi_app == before


@pytest.mark.timeout(120)
def test_gunicorn_with_preload_and_two_workers_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from flask import Flask\n"
        "from tollkeeper.embedded import embed\n"
        f"app = Flask('shop', instance_path={str(tmp_path / 'instance')!r})\n"
        "app.get('/items/<int:number>')(lambda number: {'item': number})\n"
        "embed(app)\n"
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    options = ["--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "shop:app"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    assert client.get("/items/0").status_code == 200
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            for number in range(1, 200):
                assert client.get(f"/items/{number}").status_code == 200
            assert client.get("/tollkeeper/healthz").json() == {"status": "ok"}
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)

    assert "Traceback" not in errors
    service = open_service(Settings(store=f"sqlite:///{tmp_path}/instance/tollkeeper.db"))
    result = reconcile(service.events)
    assert (sum(row.stored for row in result.books), result.problems) == (200, [])
    service.close()
