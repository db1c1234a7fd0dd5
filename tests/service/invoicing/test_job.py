"""The job keeps drafts fresh once a day, and makes months final once their days of grace are over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.billing_shop import BillingShop, at
from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.ids import record_id
from tollkeeper.service.invoicing import job
from tollkeeper.service.invoicing.job import INVOICES_JOB, keep_invoices
from tollkeeper.service.invoicing.run import run_invoices
from tollkeeper.service.jobs import find_job
from tollkeeper.store.operations import JobRun

if TYPE_CHECKING:
    from datetime import datetime

HOUR = timedelta(hours=1)


def told(shop: BillingShop, now: datetime) -> str:
    """What the job says at a time, and note that it was done."""
    said = keep_invoices(shop.service, now)
    with shop.service.catalog.writing() as records:
        records.add(
            JobRun(id=record_id("run"), job=INVOICES_JOB, at=now, state="done", started_at=now, finished_at=now)
        )
    return said


def test_without_a_first_month_nothing_is_done(memory: BillingShop) -> None:
    assert "names no month" in find_job(memory.service, INVOICES_JOB).run(at("2026-10-05"))


def test_a_first_month_that_is_none_is_told() -> None:
    with pytest.raises(InvalidRequestError, match="as 2026-10"):
        keep_invoices(BillingShop("memory:", invoice_from="october").service, at("2026-10-05"))


def test_months_are_drafted_daily_and_made_final_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = BillingShop("memory:", invoice_from="2026-09")
    shop.customer("acme")
    shop.call("acme", at("2026-08-10"), 5)
    shop.call("acme", at("2026-09-10"), 5)
    runs: list[str] = []

    def noted(service: Any, month: str, **options: Any) -> Any:
        runs.append(month)
        return run_invoices(service, month, **options)

    monkeypatch.setattr(job, "run_invoices", noted)
    assert told(shop, at("2026-09-20T00:07")) == "2026-09: 1 drafts, 0 final"
    assert told(shop, at("2026-09-20T01:07")) == "nothing new"
    shop.call("acme", at("2026-10-01"), 5)
    assert told(shop, at("2026-10-02T00:07")) == "2026-09: 1 drafts, 0 final; 2026-10: 1 drafts, 0 final"
    assert told(shop, at("2026-10-02T23:07")) == "nothing new"
    runs.clear()
    # Final where the month ended first, and hour by hour until it is everywhere.
    told(shop, at("2026-10-03T10:07"))
    assert told(shop, at("2026-10-04T00:07")).startswith("2026-09: 0 drafts, 1 final")
    told(shop, at("2026-10-04T15:07"))
    told(shop, at("2026-10-04T16:07"))
    assert runs == ["2026-09", "2026-10", "2026-09", "2026-10", "2026-09"]
    assert [one.state for one in shop.invoices()] == ["finalized", "draft"]


def test_problems_are_told() -> None:
    shop = BillingShop("memory:", invoice_from="2026-09")
    shop.plan("dollars", currency="USD", fee="5")
    shop.customer("mixed", plan="dollars")
    shop.call("mixed", at("2026-09-10"), 2)
    assert "1 problems, as cus_" in told(shop, at("2026-09-20"))
