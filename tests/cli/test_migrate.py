"""``tollkeeper migrate``, and the commands that wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from support.served import Served, run_cli
from support.servers.postgresql import PASSWORD
from support.stores import DURABLE, bare_url
from tollkeeper.store.schema import HEAD

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("engine", DURABLE)
def test_an_empty_database_is_filled_and_a_full_one_left(engine: str, tmp_path: Path) -> None:
    url = bare_url(engine, tmp_path)
    if engine == "sqlite":
        assert "no store at" in run_cli("migrate", "--store", url, check=False).stderr
        (tmp_path / "store.db").touch()
    planned = run_cli("migrate", "--check", "--store", url, check=False)
    assert planned.returncode == 1
    assert "To do: 0001  Events" in planned.stdout
    assert run_cli("usage", "--store", url, check=False).returncode == 1

    done = run_cli("migrate", "--store", url)
    assert f"this release needs {HEAD}" in done.stdout
    assert "Done: 0001  Events" in done.stdout
    for again in (run_cli("migrate", "--store", url), run_cli("migrate", "--check", "--store", url)):
        assert "nothing to do" in again.stdout
        assert PASSWORD not in again.stdout


def test_serve_refuses_an_older_schema_with_the_command_to_run(tmp_path: Path) -> None:
    url = bare_url("postgresql", tmp_path)
    run_cli("migrate", "--store", url)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE tollkeeper_version SET version_num = '0000'")

    refused = run_cli("serve", "--port", "0", "--store", url, check=False)
    assert refused.returncode == 1
    assert "run 'tollkeeper migrate'" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_commands_work_on_postgresql_and_print_no_password(tmp_path: Path) -> None:
    url = bare_url("postgresql", tmp_path)
    log = tmp_path / "access.log"
    log.write_text('192.0.2.7 - ann [10/Oct/2026:13:55:36 +0000] "GET /items/7 HTTP/1.1" 200 23\n' * 3)
    service = Served(url)
    try:
        assert run_cli("token", "create", "--scope", "read", "--store", url).stdout
        assert "/login/" in run_cli("login-link", "--store", url).stdout
        run_cli("import", "access-log", str(log), "--store", url)
        assert '"requests": 3' in run_cli("usage", "--json", "--store", url).stdout
        assert "books balance" in run_cli("reconcile", "--store", url).stdout
    finally:
        assert service.stop() == 0
    assert "keeps its data in postgresql://" in service.output
    assert PASSWORD not in service.output
    assert url.partition("@")[0] not in service.output
