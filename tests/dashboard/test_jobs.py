"""The pages of jobs: what runs when, how it went, and a run by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from support.markup import forms, rows
from tollkeeper.events.ids import record_id
from tollkeeper.service.jobs import jobs_of
from tollkeeper.store.operations import JobRun

if TYPE_CHECKING:
    import pytest
    from litestar import Litestar
    from litestar.testing import TestClient

    from tollkeeper.service.bootstrap import Service

    Client = TestClient[Litestar]

ENGINE = "memory"
JOB = "forget-runs"

NONE = "\N{EN DASH}"


def test_jobs_are_listed_with_schedule_and_next_time(client: Client, service: Service) -> None:
    found = {row[0].split()[0]: row for row in rows(client.get("/jobs").text)}
    assert set(found) == {job.name for job in jobs_of(service)}
    assert found[JOB][1:3] == ["never", "Every day at 03:10 UTC"]
    assert found[JOB][3].endswith("03:10")
    assert forms(client.get("/jobs").text) == ["/logout"]


def test_a_job_is_run_by_hand(client: Client, editor: Client, service: Service) -> None:
    assert f"/jobs/{JOB}/run" in forms(editor.get("/jobs").text)
    assert "It has not run yet" in editor.get(f"/jobs/{JOB}").text
    answer = editor.post(f"/jobs/{JOB}/run?range=7d")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{JOB}?range=7d")
    (run,) = rows(client.get(f"/jobs/{JOB}").text)
    assert (run[1], run[3]) == ("done", "0 runs forgotten")
    assert run[2].endswith("ms")
    assert client.post(f"/jobs/{JOB}/run").status_code == 403
    assert editor.post(f"/jobs/{JOB}/run", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    with service.catalog.reading() as records:
        assert len(records.find(JobRun)) == 1
    for answer in (editor.post("/jobs/x/run"), client.get("/jobs/x")):
        assert answer.status_code == 404
        assert "There is no job" in answer.text


def test_the_history_comes_in_pages(client: Client, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.dashboard.jobs.PAGE", 2)
    now = datetime.now(UTC)
    with service.catalog.writing() as records:
        for number, state in enumerate(("failed", "done", "running")):
            at = now - timedelta(minutes=5 - number)
            end = None if state == "running" else at + timedelta(seconds=2)
            records.add(
                JobRun(
                    id=record_id("run"),
                    job=JOB,
                    at=at,
                    state=state,  # type: ignore[arg-type]  # the three names above
                    detail=f"<b>{state}",
                    started_at=at,
                    finished_at=end,
                )
            )
    text = client.get(f"/jobs/{JOB}").text
    assert [row[1:4] for row in rows(text)] == [["running", NONE, "<b>running"], ["done", "2.00 s", "<b>done"]]
    link = text.partition("after=")[2].partition('"')[0]
    assert [row[1] for row in rows(client.get(f"/jobs/{JOB}?after={link}").text)] == ["failed"]
    assert "No run further back" in client.get(f"/jobs/{JOB}?after=0").text
