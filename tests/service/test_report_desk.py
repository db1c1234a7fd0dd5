"""Reports are taken in by groups, and each request gets its own answer, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tollkeeper.errors import InvalidRequestError, StoreError, TooLargeError
from tollkeeper.service import report_desk
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.call_memory import CallMemory
from tollkeeper.service.ingest import GroupCommit
from tollkeeper.service.report_desk import ReportDesk, ReportResult
from tollkeeper.service.report_input import shown_document
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

KEY = "the-key-of-acme-0001"
REPORT = {
    "apiversion": "v1",
    "endPointName": "/orders",
    "clientIPAdress": "203.0.113.7",
    "httpStatusCode": 200,
    "timeTakenInMilliSeconds": 1,
}


def body(**changes: Any) -> bytes:
    return json.dumps(REPORT | changes).encode()


@pytest.fixture
def service() -> Iterator[Service]:
    service = open_service(Settings(store="memory:"))
    yield service
    service.close()


@contextlib.asynccontextmanager
async def opened(service: Service, max_reports: int = 5) -> AsyncIterator[ReportDesk]:
    commits = GroupCommit(service.events.append)
    desk = ReportDesk(service.catalog, commits, max_reports)
    yield desk
    desk.close()
    commits.close()


def stored(service: Service) -> int:
    return sum(row.stored for row in service.events.ledger(recount=True))


def test_requests_that_come_together_have_their_own_answers(service: Service) -> None:
    async def take() -> list[Any]:
        async with opened(service) as desk:
            bodies = [body(id="a"), body(id="b", units=-1), f"[{', '.join(['{}'] * 6)}]".encode(), body(id="c"), b"{"]
            return await asyncio.gather(*(desk.take(KEY, one) for one in bodies), return_exceptions=True)

    first, bad, long, other, broken = asyncio.run(take())
    assert (first, other) == (ReportResult("a", "recorded"), ReportResult("c", "recorded"))
    assert [type(one) for one in (bad, long, broken)] == [InvalidRequestError, TooLargeError, InvalidRequestError]
    assert stored(service) == 2


def test_too_many_waiting_requests_are_turned_away(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_desk, "WAITING_REQUESTS", 2)

    async def take() -> list[Any]:
        async with opened(service) as desk:
            return await asyncio.gather(*(desk.take(KEY, body()) for _ in range(5)), return_exceptions=True)

    outcomes = asyncio.run(take())
    assert [outcome.code for outcome in outcomes if isinstance(outcome, StoreError)] == ["overloaded"] * 2
    assert stored(service) == 3


def test_a_sender_that_is_gone_does_not_disturb_the_others(service: Service) -> None:
    async def take() -> Any:
        async with opened(service) as desk:
            first = asyncio.create_task(desk.take(KEY, body()))
            second = asyncio.create_task(desk.take(KEY, body(id="b")))
            await asyncio.sleep(0)
            first.cancel()
            return await second

    assert asyncio.run(take()) == ReportResult("b", "recorded")


def test_nothing_is_acknowledged_that_the_store_does_not_take(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("The disk is full.")

    async def take() -> None:
        async with opened(service) as desk:
            await desk.take(KEY, body(id="a"))

    with monkeypatch.context() as patch:
        patch.setattr(CallMemory, "calls_of", fail)
        with pytest.raises(StoreError, match="disk is full"):
            asyncio.run(take())
    monkeypatch.setattr(service.events, "append", fail)
    with pytest.raises(StoreError, match="disk is full"):
        asyncio.run(take())
    assert stored(service) == 0


def test_the_catalogue_is_read_again_when_it_is_old(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = CallMemory(service.catalog)
    first = memory.calls_of({"a"})
    assert memory.calls_of({"a"}) is first
    assert memory.calls_of({"b"}).consumers == {"a", "b"}
    monkeypatch.setattr("tollkeeper.service.call_memory.MAX_CONSUMERS", 2)
    assert memory.calls_of({"c"}).consumers == {"c"}
    monkeypatch.setattr("tollkeeper.service.call_memory.SECONDS", -1.0)
    later = CallMemory(service.catalog)
    assert later.calls_of({"a"}) is not later.calls_of({"a"})


def test_what_is_nested_too_deep_is_hidden() -> None:
    document: Any = "x"
    for _ in range(20):
        document = [document]
    shown = json.dumps(shown_document(document, None))
    assert "x" not in shown
    assert "[REDACTED]" in shown
