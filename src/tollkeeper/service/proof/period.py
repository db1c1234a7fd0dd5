"""The proof of a month: each event is billed, free, unresolved or still to be invoiced, and each invoice adds up."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.usage import UsageQuery
from tollkeeper.service.invoicing.accounts import load_accounts
from tollkeeper.service.invoicing.months import check_month, month_span
from tollkeeper.service.invoicing.past import FINAL
from tollkeeper.service.proof.calls import CallJudge
from tollkeeper.service.proof.cases import CHUNK, billed_parts_of, plan_walks
from tollkeeper.service.proof.invoices import check_invoice
from tollkeeper.service.proof.numbers import check_numbers
from tollkeeper.store.invoices import Invoice, InvoiceLine, IssuedCreditNote
from tollkeeper.store.protocols import EventSpan
from tollkeeper.store.selling import CustomerWallet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.proof.calls import Verdict
    from tollkeeper.service.proof.cases import Case, Walk
    from tollkeeper.store.protocols import Records, StoredEvent

    Progress = Callable[[int, int], object]

__all__ = ["PeriodProof", "prove_period"]

STEP = 10_000


class PeriodProof(Struct, frozen=True, kw_only=True):
    """What became of the events of a month (UTC), which ``stored`` counts, and ``problems``: what does not agree.

    ``invoices`` that are final were worked out again from raw events, with so many ``lines``.
    """

    period: str
    stored: int
    billed: int
    free: int
    unresolved: int
    not_invoiced: int
    invoices: int
    lines: int
    problems: list[str]


def prove_period(service: Service, month: str, progress: Progress | None = None) -> PeriodProof:
    """Prove a month, up to the newest event of now; raises InvalidRequestError for what is no month.

    It walks through the events twice: to count them, and customer by customer. ``progress`` is told how many it has
    seen, and of about how many.
    """
    return _Proof(service, check_month(month), progress).prove()


class _Proof:
    """One proof under way: what was counted so far."""

    def __init__(self, service: Service, month: str, progress: Progress | None) -> None:
        self._service, self._month, self._span = service, month, month_span(month, "UTC")
        self._start, self._end = to_microseconds(self._span.start), to_microseconds(self._span.end)
        self._progress = progress
        self._seen = self._expected = 0
        self._verdicts: Counter[Verdict] = Counter()
        self._invoices = self._lines = 0
        self._proved: set[str | None] = set()
        self._problems: list[str] = []

    def prove(self) -> PeriodProof:
        """Count, then judge and work out again."""
        least = self._rolled_up()
        until = self._service.events.last_seq()
        walks = plan_walks(self._service.catalog, self._month, self._span)
        self._expected = 2 * least
        stored, known = self._count(
            until, {key for walk in walks if walk.first for case in walk.cases for key in case.keys}
        )
        most = self._rolled_up()
        if not least <= stored <= most:
            self._problems.append(f"The roll-ups count {most} events in {self._month}, but {stored} are present.")
        for walk in walks:
            self._walk(walk, until)
        if known != self._verdicts.total():
            self._problems.append(
                f"{known} events of {self._month} are of customers, but only {self._verdicts.total()} were judged."
            )
        with self._service.catalog.reading() as records:
            self._problems += check_numbers(records)
            self._problems += self._of_nobody(records)
        return PeriodProof(
            period=self._month,
            stored=stored,
            billed=self._verdicts["billed"],
            free=self._verdicts["free"],
            unresolved=self._verdicts["unresolved"] + stored - known,
            not_invoiced=self._verdicts["open"],
            invoices=self._invoices,
            lines=self._lines,
            problems=self._problems,
        )

    def _of_nobody(self, records: Records) -> Iterator[str]:
        """Name the invoices of the month that were passed over, for they are of no customer."""
        issued = records.sums(Invoice, "attempt", ("number", "customer"), period=self._month, state=FINAL)
        left = {str(number): str(customer) for number, customer in issued if number not in self._proved}
        there = {customer.id for customer in records.find(Customer, id=sorted(set(left.values())))}
        for number, customer in sorted(left.items()):
            if customer not in there:
                yield f"{number}: it was not proved, for there is no customer {customer}."

    def _rolled_up(self) -> int:
        rows = self._service.events.usage(UsageQuery(start=self._start, end=self._end))
        return sum(row.totals.requests for row in rows)

    def _count(self, until: int, keys: set[str]) -> tuple[int, int]:
        """How many events there are in the month, and how many of these are of some keys."""
        stored = known = 0
        span = EventSpan(start=self._start, end=self._end, until=until, whole=False)
        with self._service.events.walk(span, None) as found:
            for _, one in found:
                stored += 1
                known += one.event.consumer is not None and one.event.consumer.key in keys
                self._tell()
        return stored, known

    def _walk(self, walk: Walk, until: int) -> None:
        start, end = to_microseconds(walk.start), to_microseconds(walk.end)
        span = EventSpan(start=start, end=end, until=until, whole=walk.whole)
        with self._service.events.walk(span, [case.keys for case in walk.cases]) as found:
            groups = _by_place(found, len(walk.cases))
            for at in range(0, len(walk.cases), CHUNK):
                self._prove(walk, walk.cases[at : at + CHUNK], groups)

    def _prove(self, walk: Walk, cases: Sequence[Case], groups: Iterator[Iterable[StoredEvent]]) -> None:
        """Prove some cases with the events of each."""
        ids = [case.customer for case in cases]
        issued = [case.invoice for case in cases if case.invoice is not None]
        with self._service.catalog.reading() as records:
            invoices = {invoice.id: invoice for invoice in records.find(Invoice, id=issued)}
            rows = records.find(InvoiceLine, invoice=issued)
            given = _given(records, issued)
            accounts = load_accounts(records, records.find(Customer, id=ids)) if walk.first else {}
            billed = billed_parts_of(records, ids, self._month, self._span) if walk.first else {}
        for case, events in zip(cases, groups, strict=False):
            account = accounts.get(case.customer)
            judge = CallJudge(account, billed.get(case.customer, ())) if account else None
            seen = self._judged(judge, events)
            invoice = invoices.get(case.invoice) if case.invoice is not None else None
            if invoice is not None:
                mine = [row for row in rows if row.invoice == invoice.id]
                self._problems += check_invoice(invoice, mine, given[invoice.id], seen)
                self._invoices += 1
                self._proved.add(invoice.number)
                self._lines += len(mine)
            for _ in seen:
                pass
            if judge is not None:
                self._problems += judge.problems()

    def _judged(self, judge: CallJudge | None, events: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
        """Hand events on, those of the month judged."""
        for one in events:
            if judge is not None and self._span.start <= one.event.time < self._span.end:
                self._verdicts[judge.judge(one)] += 1
            self._tell()
            yield one

    def _tell(self) -> None:
        self._seen += 1
        if self._progress is not None and self._seen % STEP == 0:
            self._progress(self._seen, max(self._seen, self._expected))


def _given(records: Records, invoices: list[str]) -> defaultdict[str, Decimal]:
    """What credit notes took off what is due of invoices; the rest of them became credit by the note's number."""
    notes = records.find(IssuedCreditNote, invoice=invoices)
    credit = {one.name: one.amount for one in records.find(CustomerWallet, name=[note.number for note in notes])}
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for note in notes:
        found[note.invoice] += note.total - credit.get(note.number, 0)
    return found


def _by_place(found: Iterable[tuple[int, StoredEvent]], count: int) -> Iterator[Iterator[StoredEvent]]:
    """The events of each of so many groups, also of those without any; each to be read before the next."""
    groups = groupby(found, key=itemgetter(0))
    place, events = next(groups, (count, iter(())))
    for at in range(count):
        if place == at:
            yield (one for _, one in events)
            place, events = next(groups, (count, iter(())))
        else:
            yield iter(())
