from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.receipt import EventError
from tollkeeper.events.timestamps import EPOCH
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.service.reconcile import reconcile
from tollkeeper.service.rollups import fold_all
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = open_service(Settings(store=f"sqlite:///{tmp_path}/store.db"))
    events = [
        UsageEvent(id=str(number % 8), source="test", time=EPOCH, method="GET", path="/", status_code=200)
        for number in range(10)
    ]
    service.events.append([("test", DecodedBatch(11, events, [EventError(10, "invalid_event", "wrong")]))])
    yield service
    service.close()


def test_books_that_balance(service: Service) -> None:
    for _ in range(2):
        result = reconcile(service.events)
        (row,) = result.books
        assert (row.received, row.stored, row.duplicate, row.rejected, row.present) == (11, 8, 2, 1, 8)
        assert (result.problems, result.rolled_up) == ([], 8)
        fold_all(service.events)


def test_an_empty_store_balances(tmp_path: Path) -> None:
    empty = open_service(Settings(store=f"sqlite:///{tmp_path}/empty.db"))
    assert reconcile(empty.events).problems == []
    empty.close()


@pytest.mark.parametrize(
    ("tampering", "says"),
    [
        ("DELETE FROM event WHERE id = '3'", "test: 8 events were stored, but 7 are present"),
        ("UPDATE ledger SET received = received + 1", "test: received 12, but stored + duplicate + rejected make 11"),
        ("UPDATE ledger SET duplicate = duplicate - 1", "test: received 11, but"),
        ("UPDATE rollup SET requests = requests + 1 WHERE kind = 0", "The roll-ups count 9 requests, but 8"),
        ("UPDATE watermark SET folded = folded - 1", "The roll-ups count 9 requests, but 8"),
    ],
)
def test_what_does_not_add_up_is_named(service: Service, tmp_path: Path, tampering: str, says: str) -> None:
    fold_all(service.events)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute(tampering)
    connection.close()

    problems = reconcile(service.events).problems
    assert any(says in problem for problem in problems), problems
