"""A run of invoices that is killed, or meets another, leaves each customer with one invoice, and no number out."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.billing_shop import BillingShop, at
from support.invoice_runner import Runner
from support.stores import DURABLE, store_url
from tollkeeper.errors import ConflictError
from tollkeeper.service.audit import editing
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.invoicing.by_hand import finalize_invoice, work_out_draft
from tollkeeper.service.invoicing.run import run_invoices
from tollkeeper.settings import Settings
from tollkeeper.store.invoices import Invoice, InvoiceLine
from tollkeeper.store.selling import CustomerWallet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CUSTOMERS = 120
KILLS = 20
SHORTEST = 0.1
DAY = "2026-10-05"


@pytest.fixture
def runner() -> Iterator[Runner]:
    found = Runner()
    yield found
    found.close()


def open_shop(store: str, customers: int) -> BillingShop:
    """Customers who called more the later they came, half of whom paid something ahead."""
    shop = BillingShop(store)
    for number in range(customers):
        name = f"c{number:03d}"
        shop.customer(name)
        shop.call(name, at("2026-09-10"), number % 7 + 1)
        if number % 2:
            shop.wallet(name, "0.03")
    return shop


def check(shop: BillingShop, customers: int) -> None:
    """One invoice each, numbers without a gap, the amounts that were called for, and wallets drawn once."""
    invoices = shop.invoices()
    assert Counter(one.customer for one in invoices) == Counter(shop.customers.values())
    assert sorted(one.number or "" for one in invoices) == [f"INV-{n:06d}" for n in range(1, customers + 1)]
    ordered = sorted(invoices, key=lambda one: one.number or "")
    assert [one.at for one in ordered] == sorted(one.at for one in ordered)
    names = {customer: name for name, customer in shop.customers.items()}
    for one in invoices:
        calls = int(names[one.customer][1:]) % 7 + 1
        paid = min(calls, 3) if int(names[one.customer][1:]) % 2 else 0
        assert (int(one.total * 100), int(one.due * 100)) == (calls, calls - paid)
    balances = {one.customer: 3 - one.balance * 100 for one in shop.find(CustomerWallet)}
    assert balances == {one.customer: (one.total - one.due) * 100 for one in invoices if one.customer in balances}
    assert len(shop.find(InvoiceLine)) == customers


def at_once(*works: Callable[[], None]) -> None:
    """Do some works at the same time, each in a thread."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
        assert not thread.is_alive()


@pytest.mark.timeout(120)
def test_a_run_that_is_killed_twenty_times_is_as_one_that_was_not(tmp_path: Path, runner: Runner) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    shop = open_shop(store, CUSTOMERS)
    moments, killed, seen, longest = random.Random(7), 0, [0], SHORTEST
    while killed < KILLS:
        process = runner.start(store, "2026-09", DAY)
        time.sleep(moments.uniform(0.0, longest))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        killed += runner.wait(process) == -signal.SIGKILL
        seen.append(len(shop.invoices(state=["finalized", "paid"])))
        # So that each gets a little further, however fast the machine is.
        longest = longest * 1.5 if seen[-1] == seen[-2] else SHORTEST
    assert seen == sorted(seen)
    assert runner.wait(runner.start(store, "2026-09", DAY)) == 0
    check(shop, CUSTOMERS)
    shop.close()
    # Killed in the middle, not before it began or after it was done.
    assert len({count for count in seen if 0 < count < CUSTOMERS}) > 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize("engine", DURABLE)
def test_two_nodes_that_run_at_once_make_each_invoice_once(engine: str, tmp_path: Path, runner: Runner) -> None:
    store = store_url(engine, tmp_path)
    shop = open_shop(store, 40)
    processes = [runner.start(store, "2026-09", DAY) for _ in range(2)]
    assert [runner.wait(process) for process in processes] == [0, 0]
    check(shop, 40)
    shop.close()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("engine", DURABLE)
def test_what_is_late_is_billed_once_by_two_months_at_once(engine: str, tmp_path: Path) -> None:
    store = store_url(engine, tmp_path)
    shop = open_shop(store, 10)
    shop.run("2026-09", at(DAY))
    for name in shop.keys:
        shop.call(name, at("2026-09-20"), 2)
        shop.call(name, at("2026-10-20"), 1)
        shop.call(name, at("2026-11-20"), 1)

    def bill(month: str) -> None:
        service = open_service(Settings(store=store))
        run_invoices(service, month, now=at("2026-12-05"))
        service.close()

    at_once(partial(bill, "2026-10"), partial(bill, "2026-11"))
    assert sum(one.total * 100 for one in shop.invoices()) == sum(n % 7 + 1 for n in range(10)) + 10 * 4
    assert sorted(one.number or "" for one in shop.invoices()) == [f"INV-{n:06d}" for n in range(1, 31)]
    shop.close()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("engine", DURABLE)
def test_making_it_final_twice_at_once_gives_one_number(engine: str, tmp_path: Path) -> None:
    store = store_url(engine, tmp_path)
    shop = open_shop(store, 1)
    shop.run("2026-09", at("2026-10-02"))
    (draft,) = shop.invoices()
    results: list[str] = []

    def finalize() -> None:
        service = open_service(Settings(store=store))
        worked = work_out_draft(service, draft.id)
        try:
            with editing(service.catalog, "test") as edit:
                results.append(finalize_invoice(edit, service.settings, draft.id, worked).number or "")
        except ConflictError as error:
            results.append(error.code)
        service.close()

    at_once(*[finalize] * 4)
    assert sorted(results) == ["INV-000001", *["conflict"] * 3]
    assert [one.number for one in shop.find(Invoice)] == ["INV-000001"]
    shop.close()
