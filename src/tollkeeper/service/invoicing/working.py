"""Working invoices out: the events of many customers in one walk, charged customer by customer."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Generator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.charging import Charging
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.statement import StatedCharge
from tollkeeper.errors import ConflictError, UnprocessableError
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.invoicing.accounts import load_accounts, only_keys
from tollkeeper.service.invoicing.months import month_span
from tollkeeper.service.invoicing.parts import carries, parts_to_rate
from tollkeeper.service.invoicing.past import final_ids, load_past
from tollkeeper.service.invoicing.planning import CHUNK
from tollkeeper.service.invoicing.statements import Basis
from tollkeeper.store.protocols import EventSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tollkeeper.billing.charging import Charged, CustomerAccount
    from tollkeeper.billing.statement import ChargedPart
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.invoicing.planning import Work
    from tollkeeper.store.protocols import StoredEvent

__all__ = ["Worked", "work_out"]

BACK = timedelta(days=1), timedelta(days=62)
"""What begins so long before the month is walked through apart, so that not all are read so far back."""
Found = Mapping[str, "tuple[CustomerAccount, list[ChargedPart], Seen]"]


class Seen(Struct, frozen=True):
    """The final invoices that were there when something was worked out; ``of_past`` with those before the month."""

    ids: frozenset[str]
    of_past: bool


class Worked(Struct, frozen=True, kw_only=True):
    """What a customer's invoices of a month charge, by currency, but for one-off lines; ``apis`` are those of routes.

    It holds while their final invoices are those that were ``seen``. ``failure`` says why nothing could be charged.
    """

    customer: Customer
    bases: dict[str, Basis]
    problems: tuple[str, ...]
    apis: Mapping[str, str]
    seen: Seen
    failure: str | None = None


def work_out(service: Service, month: str, works: Sequence[Work], until: int) -> Generator[Worked]:
    """Charge what the works take, up to the event ``until``; a few customers at a time are held in memory.

    Who makes no progress keeps a snapshot of the store open: close the iterator when it isn't read to its end.
    """
    walks: defaultdict[tuple[bool, int, bool], list[Work]] = defaultdict(list)
    start = month_span(month, "UTC").start
    for work in works:
        reach = sum(work.start < start - back for back in BACK)
        walks[work.late is not None, reach, work.whole].append(work)
    for (_, _, whole), group in walks.items():
        span = EventSpan(
            start=to_microseconds(min(work.start for work in group)),
            end=to_microseconds(max(work.end for work in group)),
            until=until,
            whole=whole,
        )
        with contextlib.ExitStack() as stack:
            found: Iterable[tuple[int, StoredEvent]] = ()
            if span.start < span.end:
                found = stack.enter_context(service.events.walk(span, [work.keys for work in group]))
            yield from _charged(service, month, group, found, until)


def _charged(
    service: Service, month: str, works: Sequence[Work], found: Iterable[tuple[int, StoredEvent]], until: int
) -> Iterator[Worked]:
    groups = groupby(found, itemgetter(0))
    place, events = next(groups, (len(works), iter(())))
    for at in range(0, len(works), CHUNK):
        chunk = works[at : at + CHUNK]
        read, apis = _read(service, month, chunk)
        for number, work in enumerate(chunk, at):
            account, parts, seen = read[work.customer]
            (customer,) = account.facts.customers
            bases, problems, failure = dict[str, Basis](), tuple[str, ...](), None
            try:
                charged = _charge(account, parts, events if place == number else (), until)
                bases = _bases(charged, month_span(month, customer.time_zone).start)
                problems = charged.problems
            except (ConflictError, UnprocessableError) as error:  # what contradicts itself of one stops nobody else
                failure = error.detail
            yield Worked(customer=customer, bases=bases, problems=problems, apis=apis, seen=seen, failure=failure)
            if place == number:
                place, events = next(groups, (len(works), iter(())))


def _charge(
    account: CustomerAccount, parts: Sequence[ChargedPart], events: Iterable[tuple[int, StoredEvent]], until: int
) -> Charged:
    charging = Charging(account, parts)
    for _, stored in events:
        charging.take(stored.event)
    return charging.charged(until)


def _read(service: Service, month: str, works: Sequence[Work]) -> tuple[Found, dict[str, str]]:
    """What the charges of some customers rest on, in one snapshot; and the APIs of routes, by ids."""
    ids = [work.customer for work in works]
    found = {}
    with service.catalog.reading() as records:
        accounts = load_accounts(records, records.find(Customer, id=ids))
        seen = final_ids(records, ids, month)
        needy = [
            work.customer
            for work in works
            if work.late or seen[work.customer] or carries(accounts[work.customer], month)
        ]
        past = load_past(records, needy, month)
    for work in works:
        account, mine = only_keys(accounts[work.customer], set(work.keys)), past.get(work.customer, [])
        of_past = work.customer in needy
        ids_seen = frozenset(invoice.id for invoice, _ in mine) if of_past else frozenset(seen[work.customer])
        parts = parts_to_rate(account, month, work.late, mine)
        found[work.customer] = account, parts, Seen(ids_seen, of_past)
    facts = next(iter(accounts.values())).facts
    versions = {version.id: version.api for version in facts.versions}
    return found, {route.id: versions[route.version] for route in facts.routes}


def _bases(charged: Charged, start: datetime) -> dict[str, Basis]:
    """What was charged, by currency; parts from before the month (``start``) only where there is something to say."""
    parts: defaultdict[str, list[ChargedPart]] = defaultdict(list)
    charges: defaultdict[str, list[StatedCharge]] = defaultdict(list)
    for place, part in enumerate(charged.parts):
        currency = charged.currency_of(part)
        mine = [one.charge for one in charged.charges if one.part == place]
        if currency is None or (not mine and part.end <= start):
            continue
        charges[currency] += [StatedCharge(len(parts[currency]), charge) for charge in mine]
        parts[currency].append(part)
    return {
        currency: Basis(currency=currency, parts=tuple(found), charges=tuple(charges[currency]))
        for currency, found in parts.items()
    }
