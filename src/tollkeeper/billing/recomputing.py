"""The proof of an invoice: from the raw events and what it says of its grounds, to the same cent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tollkeeper.billing.called import CallTable, Name, name_of
from tollkeeper.billing.invoice import draft_invoice
from tollkeeper.billing.part_charges import charge_part
from tollkeeper.billing.part_usage import PartUsage, Stretch
from tollkeeper.billing.price_rows import row_at
from tollkeeper.billing.route_usage import RouteUsage
from tollkeeper.billing.statement import ChargedPart, StatedCharge, Statement
from tollkeeper.metering.meter import read_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from tollkeeper.billing.statement import CalledAs, UsedPrice
    from tollkeeper.events.event import UsageEvent

    class Numbered(Protocol):
        """An event with its place in the store, such as ``StoredEvent``."""

        @property
        def seq(self) -> int: ...

        @property
        def event(self) -> UsageEvent: ...


__all__ = ["charge_filter", "recompute"]


def recompute(statement: Statement, events: Iterable[Numbered]) -> Statement:
    """Work an invoice out again from the events of its customer, in order of time; what else it rests on stays.

    It equals the statement when nothing differs. Events that are in no part, or too late for it, are passed over.
    """
    usages = [_opened(part) for part in statement.parts]
    tables = {
        until: _table([one for one in usages if one.part.until == until])
        for until in {one.part.until for one in usages}
    }
    for numbered in events:
        for until, take in tables.items():
            if numbered.seq <= until:
                take(numbered.event)
    parts: list[ChargedPart] = []
    charges: list[StatedCharge] = []
    for usage in usages:
        found, left = charge_part(usage.part, usage.usage()[1])
        charges += [StatedCharge(len(parts), charge) for charge in found]
        parts.append(replace(usage.part, left=left))
    charges += [one for one in statement.charges if one.part is None]
    invoice = draft_invoice([one.charge for one in charges], statement.terms)
    return replace(statement, parts=tuple(parts), charges=tuple(charges), invoice=invoice)


def charge_filter(part: ChargedPart, price: str | None) -> Callable[[int, UsageEvent], bool]:
    """Make what tells, of ``seq`` and event, whether a line of the part with that price charges it.

    A fee and a minimum charge none. What a prepaid volume covers is among the calls, for it comes off them.
    """
    used = next((one for one in part.prices if one.price == price), None)
    if used is None or used.is_fee:
        return lambda _, __: False
    calls: dict[Name, list[CalledAs]] = {}
    for called in part.calls:
        if used.meter is not None or called.route == used.price:
            calls.setdefault(_name(called), []).append(called)
    keys = frozenset(part.keys)

    def charges(seq: int, event: UsageEvent) -> bool:
        return (
            seq <= part.until
            and event.consumer is not None
            and event.consumer.key in keys
            and any(called.start <= event.time < called.end for called in calls.get(name_of(event), ()))
            and row_at(used.rows, event.time) is not None
            and _is_read(used, event)
        )

    return charges


def _is_read(used: UsedPrice, event: UsageEvent) -> bool:
    """Whether the meter, if there is one, reads something off an event."""
    if used.meter is None:
        return True
    reading = read_event(used.meter, event)
    return reading is not None and reading.value is not None


def _opened(part: ChargedPart) -> PartUsage:
    """A part with its prices as they stand; a route that isn't among them has none."""
    by_plan = [price for price in part.prices if price.meter is not None or price.is_fee]
    usage = PartUsage(part, by_plan, part.currency)
    usage.routes.update({price.price: RouteUsage(price, {}) for price in part.prices if price not in by_plan})
    return usage


def _table(usages: list[PartUsage]) -> Callable[[UsageEvent], None]:
    by_name: dict[Name, list[tuple[PartUsage, CalledAs]]] = {}
    for usage in usages:
        for called in usage.part.calls:
            by_name.setdefault(_name(called), []).append((usage, called))

    def stretches(key: str, name: Name) -> list[Stretch]:
        found = (one for one in by_name.get(name, ()) if key in one[0].part.keys)
        return [stretch for usage, called in found for stretch in usage.stretches(called)]

    return CallTable(stretches).take


def _name(called: CalledAs) -> Name:
    return called.api, called.api_version, called.endpoint, called.method or ""
