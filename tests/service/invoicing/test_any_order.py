"""Whatever happens, and in whatever order: in the end each call is on one line of one invoice, for what it costs."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from service.invoicing.test_run import recomputed
from support.billing_shop import BillingShop, at
from tollkeeper.billing.subscription import Subscription
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.service.invoicing.line_events import list_line_events
from tollkeeper.service.invoicing.paying import void_invoice

NAMES = ["a", "b", "c"]
MONTHS = ["2026-09", "2026-10", "2026-11", "2026-12"]
LAST, END = at("2026-12-31"), at("2027-03-05")
KEY = "a-second-key-of-"


class History:
    """Customers, some of whom begin in the middle of a month, and what happens to them by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.shop = BillingShop("memory:")
        self.clock = at("2026-09-20")
        self.calls = dict.fromkeys(NAMES, 0)
        self.without_key = set(NAMES)
        for name in NAMES:
            self.shop.now = at("2026-09-01") + timedelta(days=self.chance.choice([0, 0, 14]))
            self.shop.customer(name)

    def step(self) -> None:
        """Let one thing happen."""
        verbs = [self.call, self.run, self.register, self.void, self.wait]
        self.chance.choices(verbs, [45, 30, 5, 10, 10])[0]()

    def call(self) -> None:
        """Some calls, at any time from the beginning of the subscription to now, by one of two keys."""
        name, count = self.chance.choice(NAMES), self.chance.randint(1, 4)
        (subscription,) = self.shop.find(Subscription, customer=self.shop.customers[name])
        start, end = subscription.started_at, min(self.clock, LAST)
        time = start + (end - start) * self.chance.random()
        if time + timedelta(seconds=count) < end:
            key = fingerprint(KEY + name) if self.chance.random() < 0.3 else None
            self.shop.call(name, time, count, key=key)
            self.calls[name] += count

    def run(self) -> None:
        """Run any month that has begun."""
        self.shop.run(self.chance.choice([month for month in MONTHS if at(f"{month}-01") < self.clock]), self.clock)

    def register(self) -> None:
        """Register a second key."""
        self.shop.now = self.clock
        if self.without_key:
            name = self.chance.choice(sorted(self.without_key))
            self.without_key.remove(name)
            self.shop.key(name, KEY + name)

    def void(self) -> None:
        """Take an invoice back."""
        for invoice in self.shop.invoices(state="finalized")[:: self.chance.randint(1, 9)][1:2]:
            with self.shop.edit() as edit:
                void_invoice(edit, invoice.id)

    def wait(self) -> None:
        """Let time pass."""
        self.clock += timedelta(days=self.chance.randint(1, 40))

    def finish(self) -> None:
        """Run all months, and those behind them, when all is known."""
        self.clock = max(END, self.clock)
        while self.without_key:
            self.register()
        for month in [*MONTHS, "2027-01"]:
            self.shop.run(month, self.clock + timedelta(hours=1))
        self.shop.run("2027-02", self.clock + timedelta(days=9))


@pytest.mark.parametrize("seed", range(10))
def test_each_call_is_on_one_line(seed: int) -> None:
    history = History(seed)
    for _ in range(25):
        history.step()
    history.finish()
    shop = history.shop
    for name in NAMES:
        live = [one for one in shop.invoices(name) if one.state != "void"]
        assert all(recomputed(shop, one) for one in live)
        assert sum(one.total * 100 for one in live) == history.calls[name]
        named = [
            stored.seq
            for one in live
            for n in range(1, len(shop.lines(one)) + 1)
            for stored in list_line_events(shop.service, one.id, n, limit=1000).items
        ]
        assert len(named) == len(set(named)) == history.calls[name]
