"""A store that is full, torn, shared or restarted: law 2 holds, and law 7 lets everything derived be made again."""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from support.served import run_cli, served
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.reconcile import reconcile
from tollkeeper.service.rollups import fold_all
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def events(count: int, start: int = 0, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": f"e{start + number}",
            "source": "shop",
            "time": "2026-10-31T12:00:00Z",
            "method": "GET",
            "path": f"/items/{number}",
            "status_code": 200,
        }
        | changes
        for number in range(count)
    ]


@pytest.mark.timeout(120)
def test_a_full_disk_is_said_and_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with served(tmp_path) as (service, token):
        client = httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {token}"})
        # The process may write no file beyond this size: as far as it can tell, the disk is full.
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
        acknowledged, refused = 0, 0
        for start in range(0, 4_000, 100):
            answer = client.post("/v1/events", json=events(100, start, variables={"text": "x" * 200}))
            if answer.status_code == 200:
                acknowledged += answer.json()["stored"]
            else:
                assert answer.status_code == 503
                assert answer.json()["code"] == "store_unavailable"
                refused += 1
        assert refused
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        for start in range(0, 4_000, 100):
            receipt = client.post("/v1/events", json=events(100, start, variables={"text": "x" * 200})).json()
            acknowledged += receipt["stored"]
            assert receipt["rejected"] == 0
        client.close()

    assert acknowledged == 4_000
    books = json.loads(run_cli("reconcile", "--json", "--store", f"sqlite:///{tmp_path}/store.db").stdout)
    assert [row["present"] for row in books["books"]] == [4_000]


@pytest.mark.timeout(120)
def test_two_workers_count_a_retry_once_whichever_takes_it(tmp_path: Path) -> None:
    receipts: list[dict[str, Any]] = []
    with served(tmp_path, workers=2) as (service, token):

        def send() -> None:
            with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {token}"}) as client:
                for start in range(0, 500, 50):
                    answer = client.post("/v1/events", json=events(50, start), headers={"Connection": "close"})
                    receipts.append(answer.json())

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sum(receipt["stored"] for receipt in receipts) == 500
    assert sum(receipt["duplicate"] for receipt in receipts) == 7 * 500
    assert run_cli("reconcile", "--store", f"sqlite:///{tmp_path}/store.db").returncode == 0


def test_roll_ups_are_made_again_from_the_events(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    with served(tmp_path) as (service, token):
        headers = {"Authorization": f"Bearer {token}"}
        for start in range(0, 1_000, 500):
            assert httpx.post(f"{service.url}/v1/events", json=events(500, start), headers=headers).status_code == 200
    before = run_cli("usage", "--json", "--store", store).stdout
    opened = open_service(Settings(store=store))
    fold_all(opened.events)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("DELETE FROM rollup")
        connection.execute("UPDATE watermark SET folded = 0")
    connection.close()

    assert run_cli("usage", "--json", "--store", store).stdout == before
    assert fold_all(opened.events) == 1_000
    assert run_cli("usage", "--json", "--store", store).stdout == before
    assert reconcile(opened.events).problems == []
    opened.close()


def test_a_torn_write_ahead_log_keeps_what_was_committed_before_it(tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.mkdir()
    store = f"sqlite:///{torn}/store.db"
    with served(tmp_path) as (service, token):
        headers = {"Authorization": f"Bearer {token}"}
        for start in range(0, 300, 100):
            httpx.post(f"{service.url}/v1/events", json=events(100, start), headers=headers).raise_for_status()
        # What a power cut leaves; after a kill of the service alone, its folding process still tidies up.
        for name in ("store.db", "store.db-wal"):
            shutil.copy(tmp_path / name, torn)
    log = torn / "store.db-wal"
    assert log.stat().st_size > 0
    with log.open("ab") as file:
        file.write(b"\xff" * 5_000)

    books = json.loads(run_cli("reconcile", "--json", "--store", store).stdout)
    assert books["problems"] == []
    assert [row["present"] for row in books["books"]] == [300]


def test_a_file_that_is_no_store_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("not a database, but long enough to look like one" * 40)

    result = run_cli("usage", "--store", f"sqlite:///{tmp_path}/note.txt", check=False)
    assert result.returncode == 1
    assert "note.txt" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_store_of_a_later_release_is_refused(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    open_service(Settings(store=store)).close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE tollkeeper_version SET version_num = '9999'")
    connection.close()

    result = run_cli("usage", "--store", store, check=False)
    assert result.returncode == 1
    assert "schema 9999" in result.stderr
