"""The proof of one invoice: its document, its record and its lines agree, and all of it follows from the events."""

from __future__ import annotations

import hashlib
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from tollkeeper.billing.money import to_minor
from tollkeeper.billing.recomputing import recompute
from tollkeeper.errors import TollkeeperError
from tollkeeper.service.invoicing.sizes import kept_quantity
from tollkeeper.service.invoicing.statements import AMOUNTS, invoice_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from tollkeeper.billing.invoice import Line
    from tollkeeper.billing.statement import Statement
    from tollkeeper.store.invoices import Invoice, InvoiceLine
    from tollkeeper.store.protocols import StoredEvent

__all__ = ["check_invoice", "read_statement"]


def read_statement(invoice: Invoice) -> Statement | None:
    """What the document of an invoice says; None when it cannot be read."""
    try:
        return invoice_statement(invoice)
    except (zlib.error, msgspec.MsgspecError, ValueError, ArithmeticError):
        return None


def check_invoice(
    invoice: Invoice, rows: Sequence[InvoiceLine], given: Decimal, events: Iterable[StoredEvent]
) -> Iterator[str]:
    """Name what does not agree, a sentence each.

    ``given`` is what credit notes took off what is due; ``events`` are the customer's of all parts, in order of time.
    """
    name = invoice.number or invoice.id
    if hashlib.sha256(invoice.document).digest() != invoice.digest:
        yield f"{name}: the document is not the one that was issued: its SHA-256 differs from the digest."
    statement = read_statement(invoice)
    if statement is None:
        yield f"{name}: the document cannot be read."
        return
    for field in AMOUNTS:
        kept, said = getattr(invoice, field), getattr(statement.invoice, field)
        said -= given if field == "due" else 0
        if kept != said:
            yield f"{name}: the {field} is {_money(kept, invoice)}, but the document says {_money(said, invoice)}."
    if invoice.currency != statement.invoice.currency:
        yield f"{name}: the currency is {invoice.currency}, but the document says {statement.invoice.currency}."
    yield from _check_rows(name, invoice, rows, statement)
    try:
        again = recompute(statement, events)
    except (TollkeeperError, ArithmeticError, ValueError, LookupError) as error:
        yield f"{name}: it cannot be worked out from its document: {error}"
        return
    yield from _check_lines(name, invoice, statement, again)


def _check_rows(name: str, invoice: Invoice, rows: Sequence[InvoiceLine], statement: Statement) -> Iterator[str]:
    by_place = {row.n: row for row in rows}
    for n, line in enumerate(statement.invoice.lines, 1):
        row = by_place.pop(n, None)
        if row is None:
            yield f"{name}, line {n} ({line.name}): its row is missing."
            continue
        net = to_minor(line.net, statement.invoice.currency)
        if row.net != net:
            yield f"{name}, line {n} ({line.name}): its row has {row.net} minor units, but the document says {net}."
        wanted = (line.kind, line.name, kept_quantity(line.quantity), invoice.currency, invoice.customer, invoice.state)
        if (row.kind, row.name, row.quantity, row.currency, row.customer, row.state) != wanted:
            yield f"{name}, line {n} ({line.name}): its row says something else than the document."
    for n in sorted(by_place):
        yield f"{name}, line {n}: there is a row, but no such line in the document."


def _check_lines(name: str, invoice: Invoice, statement: Statement, again: Statement) -> Iterator[str]:
    """Compare each line with what the events make of it; lines stand for the same part and price, in their order."""
    made: defaultdict[object, list[Line]] = defaultdict(list)
    for key, line in _keyed(again):
        made[key].append(line)
    differs = False
    for n, (key, line) in enumerate(_keyed(statement), 1):
        found = made[key].pop(0) if made[key] else None
        if found == line:
            continue
        differs = True
        where = f"{name}, line {n} ({line.name})"
        if found is None:
            yield f"{where}: it says {_money(line.amount, invoice)}, but the events make no such line."
        elif (found.amount, found.net) != (line.amount, line.net):
            said, makes = (line.amount, found.amount) if found.amount != line.amount else (line.net, found.net)
            yield f"{where}: it says {_money(said, invoice)}, but the events make {_money(makes, invoice)}."
        else:
            yield f"{where}: it differs in {_difference(line, found)} from what the events make."
    for line in (line for lines in made.values() for line in lines):
        differs = True
        yield f"{name}: the events make {_money(line.amount, invoice)} of {line.name}, which no line says."
    for field in AMOUNTS:
        said, makes = getattr(statement.invoice, field), getattr(again.invoice, field)
        if said != makes:
            differs = True
            yield f"{name}: the {field} is {_money(said, invoice)}, but its lines make {_money(makes, invoice)}."
    if not differs and again != statement:
        yield f"{name}: its grounds (coupons, taxes, wallets, shares) are not what they come to from the events."


def _keyed(statement: Statement) -> Iterator[tuple[object, Line]]:
    for stated, line in zip(statement.charges, statement.invoice.lines, strict=True):
        yield (stated.part, line.kind, line.price, line.name), line


def _difference(line: Line, found: Line) -> str:
    return ", ".join(name for name in line.__struct_fields__ if getattr(line, name) != getattr(found, name))


def _money(amount: Decimal, invoice: Invoice) -> str:
    return f"{amount} {invoice.currency}"
