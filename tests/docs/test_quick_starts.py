"""The lines of the README do not only run: requests are recorded, and the dashboard is there."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from docs.pages import ROOT, blocks
from support.served import environment

if TYPE_CHECKING:
    from pathlib import Path

CALL = """
with app.test_client() as client:
    for path in ("/orders/17", "/tollkeeper/login"):
        with client.get(path) as response:
            print(response.status_code)
    app.extensions["tollkeeper"].flush(10)
"""


def block_with(text: str) -> str:
    (found,) = [block.text for block in blocks(ROOT / "README.md") if block.language == "python" and text in block.text]
    return found


class QuickStart(NamedTuple):
    """A block of the README by its text, what the calls print, and where which paths are recorded."""

    text: str
    printed: list[str]
    file: str
    query: str
    stored: list[str]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "start",
    [
        QuickStart(
            text="sink=",
            printed=["404", "404"],
            file="usage.db",
            query="SELECT path FROM usage_events",
            stored=["/orders/17", "/tollkeeper/login"],
        ),
        QuickStart(
            text="embed(",
            printed=["404", "200"],
            file="instance/tollkeeper.db",
            query="SELECT path FROM event",
            stored=["/orders/17"],
        ),
    ],
    ids=["two lines", "embedded"],
)
def test_a_request_is_recorded(tmp_path: Path, start: QuickStart) -> None:
    (tmp_path / "app.py").write_text(block_with(start.text) + CALL, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "app.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == start.printed
    connection = sqlite3.connect(tmp_path / start.file)
    assert sorted(path for (path,) in connection.execute(start.query)) == start.stored
    connection.close()
