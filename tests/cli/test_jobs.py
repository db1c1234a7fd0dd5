from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tollkeeper.cli import jobs
from tollkeeper.cli.main import app
from tollkeeper.errors import NotFoundError, StoreError
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.job_runs import Job
from tollkeeper.service.jobs import find_job
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tollkeeper.service.bootstrap import Service


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/t.db"
    open_service(Settings(store=url)).close()
    return url


def test_a_job_is_run_and_its_run_is_listed(store: str) -> None:
    ran = CliRunner().invoke(app, ["jobs", "run", "quota-reset", "--store", store])
    assert (ran.exit_code, ran.output) == (0, "quota-reset: 0 periods closed.\n")

    lines = CliRunner().invoke(app, ["jobs", "list", "--store", store]).output.splitlines()
    assert lines[0].split() == ["Job", "Schedule", "Next", "Last", "Purpose"]
    assert "every minute" in lines[1]
    assert "done: 0 periods closed" in lines[1]
    assert "every day at 03:10 UTC" in lines[-1]
    assert " 03:10 UTC  -  " in lines[-1]
    listed = json.loads(CliRunner().invoke(app, ["jobs", "list", "--json", "--store", store]).output)
    assert listed[0]["last_run"]["state"] == "done"


def test_a_job_that_fails_ends_with_1(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_now: datetime) -> str:
        raise StoreError("It is full.")

    def failing(service: Service, name: str) -> Job:
        job = find_job(service, name)
        return Job(job.name, job.purpose, job.schedule, fail)

    monkeypatch.setattr(jobs, "find_job", failing)
    ran = CliRunner().invoke(app, ["jobs", "run", "forget-runs", "--store", store])
    assert (ran.exit_code, ran.stderr) == (1, "forget-runs failed: It is full.\n")


def test_a_job_that_nobody_knows_is_an_error(store: str) -> None:
    ran = CliRunner().invoke(app, ["jobs", "run", "reset", "--store", store])
    assert isinstance(ran.exception, NotFoundError)
