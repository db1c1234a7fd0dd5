"""What the jobs do that has no module of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.limited import called, counters, report, sell
from tollkeeper.billing.counter import Hold
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service import jobs
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.job_runs import run_now
from tollkeeper.service.jobs import find_job
from tollkeeper.settings import Settings
from tollkeeper.store.operations import JobRun
from tollkeeper.store.tags.tag import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = timedelta(days=1)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = open_service(Settings(store=f"sqlite:///{tmp_path}/t.db", tag_history_days=2))
    yield service
    service.close()


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FORGET_AT_ONCE", 2)


def detail(service: Service, name: str) -> str | None:
    run = run_now(service.catalog, find_job(service, name))
    assert run.state == "done"
    return run.detail


def test_holds_that_are_over_are_forgotten_after_a_day(service: Service) -> None:
    now = to_microseconds(datetime.now(UTC))
    long_ago, lately = now - 25 * 3_600_000_000, now - 23 * 3_600_000_000
    with service.quotas.writing() as book:
        for number, expiry in enumerate([long_ago, long_ago, long_ago, lately]):
            hold = Hold(id=f"hld_{number}", consumer="a", counters=[], units=1, open=False, expires_at=expiry)
            book.hold([hold])

    assert detail(service, "forget-holds") == "3 forgotten"
    assert detail(service, "forget-holds") == "0 forgotten"


def test_uses_of_tags_are_forgotten_after_the_days_of_the_setting(service: Service) -> None:
    now = datetime.now(UTC)
    service.tags.create(Tag(id="tag_1", name="page", created_at=now))
    service.tags.use([("tag_1", now - age) for age in (3 * DAY, 3 * DAY, 3 * DAY, DAY)])

    assert detail(service, "tag-history") == "3 uses forgotten"
    assert detail(service, "tag-history") == "0 uses forgotten"


def test_runs_are_forgotten_after_a_week(service: Service) -> None:
    now = datetime.now(UTC)
    with service.catalog.writing() as records:
        for days in (1, 8, 9, 10):
            at = now - days * DAY
            records.add(JobRun(id=f"run_{days:02}", job="x", at=at, state="done", started_at=at, finished_at=at))

    assert detail(service, "forget-runs") == "3 runs forgotten"
    with service.catalog.reading() as records:
        assert [run.id for run in records.find(JobRun, job="x")] == ["run_01"]


def test_what_was_used_until_the_end_is_counted_before_a_period_is_closed(service: Service) -> None:
    sub = sell(service, {"limit": 10, "period": "day", "carry_over": 10})
    yesterday = datetime.now(UTC) - DAY
    report(service, [called(yesterday) for _ in range(4)])

    assert detail(service, "quota-reset") == "1 periods closed"
    first, second = sorted(counters(service, sub).values(), key=lambda one: one.starts_at)
    assert (first.used, second.carried) == (4_000_000, 6_000_000)
