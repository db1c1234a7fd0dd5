from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from typer.testing import CliRunner

from support.quotas import LONG, open_limited
from tollkeeper.cli import quotas
from tollkeeper.cli.main import app
from tollkeeper.errors import NotFoundError
from tollkeeper.service.bootstrap import open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('quotas')}/t.db"
    service = open_service(Settings(store=url))
    open_limited(service)
    service.close()
    return url


def run(store: str, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["quotas", "--store", store, *arguments])
    if result.exception is not None:
        raise result.exception
    assert result.exit_code == 0
    return result.output


def test_the_fullest_come_first_with_a_meter(store: str) -> None:
    lines = run(store).splitlines()
    assert lines[0].split() == ["Customer", "Plan", "Limit", "Share", "Used", "Quota", "Left", "Until", "(UTC)"]
    assert len(lines) == 24
    assert lines[1].startswith("Cyberdyne Systems")
    assert "free  all month (soft)" in lines[1]
    assert "█" * 20 + "  137.4%    1,374    1,000" in lines[1]
    empty = next(line for line in lines if line.startswith("Wayne Robotics"))
    assert "░" * 20 + "    0.0%" in empty
    small = next(line for line in lines if line.startswith("Acme Ltd") and "all month" in line)
    assert "█" + "░" * 19 + "    3.0%" in small


def test_some_can_be_asked_for(store: str) -> None:
    assert len(run(store, "--customer", "Hooli").splitlines()) == 3
    assert len(run(store, "--customer", "c4", "--state", "exceeded").splitlines()) == 2
    assert run(store, "--customer", "c0", "--state", "near") == "No such quotas.\n"
    assert "There are more than 5" in run(store, "--limit", "5")
    shown = json.loads(run(store, "--state", "exceeded", "--json"))
    assert [(one["customer_name"], one["share"]) for one in shown] == [("Cyberdyne Systems", 1.374), ("Hooli", 1.0)]
    with pytest.raises(NotFoundError, match="no customer 'nobody'"):
        run(store, "--customer", "nobody")


def test_without_limits_it_says_how_to_set_some(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/t.db"
    open_service(Settings(store=url)).close()
    assert "'tollkeeper plan add' with --limit" in run(url)


def test_a_narrow_terminal_gets_fewer_columns(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for width, wanted in ((200, 9), (90, 5)):
        out = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
        monkeypatch.setattr(quotas, "console", lambda out=out: out)
        run(store)
        text = out.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
        assert len(text.splitlines()[0].replace("Until (UTC)", "Until").split()) == wanted - 1
        assert all(len(line) <= width for line in text.splitlines())
    assert LONG[:20] in text
