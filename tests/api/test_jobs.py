"""Jobs over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.stores import store_url
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from api.conftest import Api

NAMES = [
    "quota-reset",
    "evaluate-alerts",
    "quota-open",
    "invoices",
    "forget-holds",
    "tag-history",
    "forget-messages",
    "forget-runs",
]


@pytest.fixture(params=["memory", "sqlite"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(store=store_url(request.param, tmp_path))


def test_jobs_are_listed_and_run(api: Api) -> None:
    before = api.read.get("/v1/jobs").json()["items"]
    assert [job["name"] for job in before] == NAMES
    assert {job["last_run"] for job in before} == {None}
    assert before[-1]["schedule"] == "every day at 03:10 UTC"
    assert before[-1]["next_at"].endswith("T03:10:00Z")

    answer = api.admin.post("/v1/jobs/quota-reset/run")
    run = answer.json()
    assert (answer.status_code, run["state"], run["detail"]) == (200, "done", "0 periods closed")
    after = api.read.get("/v1/jobs").json()["items"]
    assert [job["last_run"] for job in after] == [run, *[None] * (len(NAMES) - 1)]


@pytest.mark.parametrize("name", NAMES)
def test_every_job_runs_on_an_empty_store(api: Api, name: str) -> None:
    assert api.admin.post(f"/v1/jobs/{name}/run").json()["state"] == "done"


def test_a_job_that_nobody_knows_is_not_found(api: Api) -> None:
    answer = api.admin.post("/v1/jobs/reset/run")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "quota-reset, evaluate-alerts" in answer.json()["detail"]


def test_who_may_only_read_runs_nothing(api: Api) -> None:
    assert api.read.post("/v1/jobs/quota-reset/run").status_code == 403
    assert {job["last_run"] for job in api.read.get("/v1/jobs").json()["items"]} == {None}
