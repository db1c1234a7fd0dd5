"""Who would pay more and who less under a draft, and what all of it comes to."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from tollkeeper.billing.customer import Customer
from tollkeeper.billing.money import from_minor, total
from tollkeeper.billing.plan import Plan
from tollkeeper.service.invoicing.months import check_month
from tollkeeper.service.listing import find_named
from tollkeeper.service.resolution import load_products
from tollkeeper.service.simulation.comparing import compare, plan_tasks
from tollkeeper.service.simulation.draft import make_draft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.simulation.comparing import Both
    from tollkeeper.service.simulation.draft import Draft

__all__ = ["Compared", "Simulation", "SimulationTotal", "simulate"]

Change = Literal["more", "less", "same", "new", "lost"]


class Compared(Struct, frozen=True, kw_only=True):
    """A customer in one currency. ``new`` pays nothing so far and would, ``lost`` pays and would not any longer."""

    customer: str
    name: str
    currency: str
    before: Decimal
    after: Decimal
    difference: Decimal
    change: Change


class SimulationTotal(Struct, frozen=True, kw_only=True):
    """All customers in one currency: how many of them ``changes`` in which way."""

    currency: str
    before: Decimal
    after: Decimal
    difference: Decimal
    changes: dict[Change, int]


class Simulation(Struct, frozen=True, kw_only=True):
    """A month under a draft: ``rows`` with the greatest difference first, either way."""

    month: str
    customers: int
    totals: list[SimulationTotal]
    rows: list[Compared]
    problems: list[str]


def simulate(
    service: Service,
    draft: Draft,
    month: str,
    *,
    subscribers_of: str | None = None,
    customers: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Charge the real traffic of a month under a draft and under what holds, before coupons and taxes; write nothing.

    The draft's plan stands for the one called ``subscribers_of``, else for all plans; of ``customers`` by their ids,
    external ids or names, else of all. ``progress`` is told how many are done, and of how many. Raises
    InvalidRequestError, UnprocessableError or ConflictError for what can't be tried out.
    """
    until = service.events.last_seq()
    with service.catalog.reading() as records:
        plan = find_named(records, Plan, subscribers_of, "name") if subscribers_of is not None else None
        named = customers and [find_named(records, Customer, one, "external_id", "name").id for one in customers]
        trial = make_draft(records, load_products(records), draft, plan)
    tasks = plan_tasks(service, check_month(month), trial, named or None)
    rows: list[Compared] = []
    problems: list[str] = []
    with closing(compare(service, month, trial, tasks, until)) as found:
        for done, both in enumerate(found, 1):
            rows += _rows(both)
            problems += [f"{both.customer.name}: {problem}" for problem in both.problems]
            if progress is not None:
                progress(done, len(tasks))
    rows.sort(key=lambda row: (-abs(row.difference), row.name, row.customer, row.currency))
    return Simulation(month=month, customers=len(tasks), totals=_totals(rows), rows=rows, problems=problems)


def _rows(both: Both) -> list[Compared]:
    return [
        Compared(
            customer=both.customer.id,
            name=both.customer.name,
            currency=currency,
            before=from_minor(before, currency),
            after=from_minor(after, currency),
            difference=from_minor(after - before, currency),
            change=_change(before, after),
        )
        for currency in sorted({*both.before, *both.after})
        for before, after in [(both.before.get(currency, 0), both.after.get(currency, 0))]
    ]


def _change(before: int, after: int) -> Change:
    if before == after:
        return "same"
    if before <= 0 < after:
        return "new"
    if after <= 0 < before:
        return "lost"
    return "more" if after > before else "less"


def _totals(rows: Iterable[Compared]) -> list[SimulationTotal]:
    groups: defaultdict[str, list[Compared]] = defaultdict(list)
    for row in rows:
        groups[row.currency].append(row)
    return [
        SimulationTotal(
            currency=currency,
            before=total((row.before for row in group), currency),
            after=total((row.after for row in group), currency),
            difference=total((row.difference for row in group), currency),
            changes=dict(Counter(row.change for row in group)),
        )
        for currency, group in sorted(groups.items())
    ]
