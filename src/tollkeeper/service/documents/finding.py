"""From the id or the number of an invoice or a credit note to the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.billing.credit_note import CreditNote
from tollkeeper.billing.packing import unpack
from tollkeeper.billing.statement import Statement
from tollkeeper.service.documents.papers import Credit, Paper
from tollkeeper.service.invoicing.finding import find_invoice
from tollkeeper.service.listing import find_record
from tollkeeper.store.invoices import Invoice, IssuedCreditNote

if TYPE_CHECKING:
    from tollkeeper.store.protocols import Records

__all__ = ["credit_note_paper", "invoice_paper", "paper_of"]


def invoice_paper(records: Records, named: str) -> Paper:
    """The paper of an invoice by its id or its number; raises NotFoundError."""
    return _paper(find_invoice(records, named))


def credit_note_paper(records: Records, named: str) -> Paper:
    """The paper of a credit note by its id or its number; raises NotFoundError."""
    found = next(iter(records.find(IssuedCreditNote, number=named)), None)
    issued = found or find_record(records, IssuedCreditNote, named)
    invoice = find_record(records, Invoice, issued.invoice)
    return _paper(invoice, Credit(issued, unpack(issued.document, CreditNote)))


def paper_of(records: Records, subject: str) -> Paper:
    """The paper that a letter is about, by the id of either kind; raises NotFoundError."""
    is_invoice = records.get(Invoice, subject) is not None
    return invoice_paper(records, subject) if is_invoice else credit_note_paper(records, subject)


def _paper(invoice: Invoice, credit: Credit | None = None) -> Paper:
    return Paper(invoice=invoice, statement=unpack(invoice.document, Statement), credit=credit)
