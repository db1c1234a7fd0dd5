"""From records to what stands on a document: an invoice in each of its states, a credit note."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.service.documents.formats import Formats, formats_for
from tollkeeper.service.documents.page import Group, Page, Side, Sum
from tollkeeper.service.documents.rows import Rows
from tollkeeper.service.documents.sums import invoice_sums, note_sums, sum_notes
from tollkeeper.service.documents.texts import clean, clean_lines, fill, isolated
from tollkeeper.service.documents.wording import Words, words_for

if TYPE_CHECKING:
    from tollkeeper.billing.credit_note import CreditNote
    from tollkeeper.billing.party import Party
    from tollkeeper.billing.statement import Statement
    from tollkeeper.store.invoices import Invoice, IssuedCreditNote

__all__ = ["credit_note_page", "invoice_page"]

SHORT = 80


def invoice_page(invoice: Invoice, statement: Statement) -> Page:
    """Lay an invoice out."""
    formats = formats_for(statement.language, invoice.currency, statement.time_zone)
    words = words_for(formats.language)
    groups = Rows(statement, formats, words).groups()
    paid_on = formats.day(invoice.paid_at) if invoice.state == "paid" and invoice.paid_at else ""
    credited = bool(paid_on and statement.invoice.due and not invoice.due)
    draft, void = invoice.state == "draft", invoice.state == "void"
    notes = [words.draft_note] if draft else [words.void_note] if void else []
    notes += sum_notes(statement, formats, words)
    if any(stated.charge.kind == "usage" for stated in statement.charges):
        notes.append(words.calls_note)
    facts = [(words.period, formats.days(invoice.starts_at, invoice.ends_at))] if statement.parts else []
    if not draft:
        facts = [(words.number, clean(invoice.number or "")), (words.issued, formats.day(invoice.at)), *facts]
    if not draft and invoice.due_at is not None and invoice.due:
        facts.append((words.due_date, formats.day(invoice.due_at)))
    sums = invoice_sums(invoice, statement, formats, words, paid_on=paid_on)
    subject = f"{words.invoice} {clean(invoice.number)}" if invoice.number else words.draft_invoice
    return _page(
        statement,
        formats,
        words,
        subject=subject,
        heading=words.draft_invoice if draft else words.invoice,
        stamp=words.credited if credited else _stamp(invoice, words),
        mark=words.draft if draft else words.void if void else "",
        facts=facts,
        headline=(sums[-1].label, sums[-1].amount, "" if credited else _when(invoice, formats, words, paid_on)),
        groups=groups,
        sums=sums,
        notes=notes,
    )


def credit_note_page(issued: IssuedCreditNote, note: CreditNote, invoice: Invoice, statement: Statement) -> Page:
    """Lay a credit note out, with the lines of its invoice that it gives back."""
    formats = formats_for(statement.language, issued.currency, statement.time_zone)
    words = words_for(formats.language)
    sums = note_sums(note, statement.invoice, formats, words)
    of = fill(words.of_date, rtl=formats.rtl, number=clean(invoice.number or ""), date=formats.day(invoice.at))
    facts = [(words.number, clean(issued.number)), (words.issued, formats.day(issued.at)), (words.of_invoice, of)]
    notes = [words.reverse_charge_note] if any(tax.reverse_charge for tax in statement.invoice.taxes) else []
    if issued.reason:
        notes.insert(0, f"{words.reason}: {isolated(clean(issued.reason), rtl=formats.rtl)}")
    return _page(
        statement,
        formats,
        words,
        subject=f"{words.credit_note} {clean(issued.number)}",
        heading=words.credit_note,
        stamp="",
        mark="",
        facts=facts,
        headline=(sums[-1].label, sums[-1].amount, ""),
        groups=Rows(statement, formats, words).groups(note.lines),
        sums=sums,
        notes=notes,
    )


def _page(
    statement: Statement,
    formats: Formats,
    words: Words,
    *,
    subject: str,
    heading: str,
    stamp: str,
    mark: str,
    facts: list[tuple[str, str]],
    headline: tuple[str, str, str],
    groups: tuple[Group, ...],
    sums: tuple[Sum, ...],
    notes: list[str],
) -> Page:
    rtl = formats.rtl
    seller = clean(statement.seller.name)
    seller = seller if len(seller) <= SHORT else f"{seller[: SHORT - 1]}…"
    amount = f"{words.amount} ({isolated(formats.currency, rtl=rtl)})"
    return Page(
        language=words.language,
        region=formats.locale.territory or "",
        rtl=rtl,
        paper=formats.paper,
        title=f"{subject} · {seller}" if seller else subject,
        heading=heading,
        stamp=stamp,
        mark=mark,
        facts=tuple((label, isolated(value, rtl=rtl)) for label, value in facts),
        headline=headline,
        seller=_side(words.seller, statement.seller, formats, words),
        buyer=_side(words.buyer, statement.buyer, formats, words),
        columns=(words.description, words.quantity, words.unit_price, amount),
        has_quantities=any(row.quantity for group in groups for row in group.rows),
        groups=groups,
        sums=sums,
        notes=tuple(notes),
        page_label=words.page,
        foot=" · ".join(isolated(one, rtl=rtl) for one in (seller, subject) if one),
    )


def _stamp(invoice: Invoice, words: Words) -> str:
    return {"draft": words.draft, "void": words.void, "paid": words.paid}.get(invoice.state, "")


def _when(invoice: Invoice, formats: Formats, words: Words, paid_on: str) -> str:
    """When it was paid, or is to be."""
    if paid_on:
        return fill(words.paid_on, rtl=formats.rtl, date=paid_on)
    if invoice.state != "finalized" or invoice.due_at is None or not invoice.due:
        return ""
    return f"{words.due_date}: {isolated(formats.day(invoice.due_at), rtl=formats.rtl)}"


def _side(label: str, party: Party, formats: Formats, words: Words) -> Side:
    rtl = formats.rtl
    lines = [isolated(line, rtl=rtl) for line in clean_lines(party.address)]
    if party.email:
        lines.append(isolated(clean(party.email), rtl=rtl))
    if party.tax_id:
        lines.append(f"{words.tax_id}: {isolated(clean(party.tax_id), rtl=rtl)}")
    return Side(label=label, name=isolated(clean(party.name), rtl=rtl), lines=tuple(lines))
