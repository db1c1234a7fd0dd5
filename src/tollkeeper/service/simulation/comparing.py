"""What each customer was charged, and would be under a draft: rated in one pass over the events of a month."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tollkeeper.billing.charging import Charging, billing_parts, needs_details
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.money import to_minor
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.invoicing.accounts import load_accounts, only_keys
from tollkeeper.service.invoicing.months import month_span
from tollkeeper.service.simulation.draft import drafted
from tollkeeper.store.protocols import EventSpan

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from tollkeeper.billing.charging import Charged, CustomerAccount
    from tollkeeper.billing.statement import ChargedPart
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.simulation.draft import Drafted
    from tollkeeper.store.protocols import StoredEvent

__all__ = ["Both", "Task", "compare", "plan_tasks"]

CHUNK = 100
"""Customers that are read at one go."""
LONG = timedelta(days=40)
"""Whose periods begin longer than this before the month are walked apart, so that not all are read so far back."""


class Task(Struct, frozen=True, kw_only=True):
    """A customer to be rated: the keys whose events in ``[start, end)`` count; ``whole`` asks for all of an event."""

    customer: str
    keys: tuple[str, ...]
    start: int
    end: int
    whole: bool


class Both(Struct, frozen=True):
    """What a customer came to, and would come to, in minor units by currency, and what can't be charged."""

    customer: Customer
    before: dict[str, int]
    after: dict[str, int]
    problems: tuple[str, ...]


def plan_tasks(service: Service, month: str, draft: Drafted, customers: Sequence[str] | None) -> list[Task]:
    """Whom the draft is tried out on: all customers, or those with some ids, who have a plan that it changes.

    Where only prices of routes are tried out, that is whoever has a subscription.
    """
    found: list[Task] = []
    after: str | None = None
    while True:
        where: dict[str, Any] = {} if customers is None else {"id": list(customers)}
        with service.catalog.reading() as records:
            page = records.page(Customer, after=after, limit=CHUNK, **where)
            accounts = load_accounts(records, page) if page else {}
        if not page:
            return found
        after = page[-1].id
        found += [task for account in accounts.values() for task in _tasks(account, month, draft)]


def compare(service: Service, month: str, draft: Drafted, tasks: Sequence[Task], until: int) -> Generator[Both]:
    """Rate all of them twice, up to the event ``until``; a few customers at a time are held in memory.

    Close the iterator when it isn't read to its end: it keeps a snapshot of the store open.
    """
    limit = to_microseconds(month_span(month, "UTC").start - LONG)
    walks: defaultdict[tuple[bool, bool], list[Task]] = defaultdict(list)
    for task in tasks:
        walks[task.start < limit, task.whole].append(task)
    for group in walks.values():
        yield from _walk(service, month, draft, group, until)


def _walk(service: Service, month: str, draft: Drafted, tasks: Sequence[Task], until: int) -> Generator[Both]:
    start, end = min(task.start for task in tasks), max(task.end for task in tasks)
    span = EventSpan(start=start, end=end, until=until, whole=tasks[0].whole)
    with service.events.walk(span, [task.keys for task in tasks]) as walked:
        groups = groupby(walked, itemgetter(0))
        place, events = next(groups, (len(tasks), iter(())))
        for at in range(0, len(tasks), CHUNK):
            chunk = tasks[at : at + CHUNK]
            with service.catalog.reading() as records:
                accounts = load_accounts(records, records.find(Customer, id=[task.customer for task in chunk]))
            for number, task in enumerate(chunk, at):
                account = only_keys(accounts[task.customer], set(task.keys))
                if place != number:
                    yield _rate(account, month, draft, (), until)
                    continue
                yield _rate(account, month, draft, events, until)
                place, events = next(groups, (len(tasks), iter(())))


def _tasks(account: CustomerAccount, month: str, draft: Drafted) -> Iterator[Task]:
    before, after = _parts(account, month), _parts(drafted(account, draft), month)
    if draft.plan is not None and not any(draft.changes(part.plan) for part in before):
        return
    both = [*before, *after]
    if both:
        yield Task(
            customer=account.facts.customers[0].id,
            keys=tuple(key.fingerprint for key in account.facts.keys),
            start=to_microseconds(min(part.start for part in both)),
            end=to_microseconds(max(part.end for part in both)),
            whole=needs_details(account, before) or needs_details(drafted(account, draft), after),
        )


def _rate(
    account: CustomerAccount, month: str, draft: Drafted, events: Iterable[tuple[int, StoredEvent]], until: int
) -> Both:
    trial = drafted(account, draft)
    before, after = Charging(account, _parts(account, month)), Charging(trial, _parts(trial, month))
    for _, stored in events:
        before.take(stored.event)
        after.take(stored.event)
    was, would_be = before.charged(until), after.charged(until)
    (customer,) = account.facts.customers
    return Both(customer, _sums(was), _sums(would_be), tuple(dict.fromkeys((*was.problems, *would_be.problems))))


def _parts(account: CustomerAccount, month: str) -> list[ChargedPart]:
    (customer,) = account.facts.customers
    span = month_span(month, customer.time_zone)
    return billing_parts(account, span.start, span.end)


def _sums(charged: Charged) -> dict[str, int]:
    found = Counter[str]()
    for one in charged.charges:
        part = charged.parts[one.part or 0]
        currency = charged.currency_of(part)
        if currency is not None:
            found[currency] += to_minor(one.charge.amount, currency)
    return dict(found)
