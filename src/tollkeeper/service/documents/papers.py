"""Invoices and credit notes as HTML and as PDF: the same records always give the same bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.billing.credit_note import CreditNote
from tollkeeper.billing.statement import Statement
from tollkeeper.service.documents.html import html_of
from tollkeeper.service.documents.pages import credit_note_page, invoice_page
from tollkeeper.service.documents.pdf import pdf_of
from tollkeeper.store.invoices import Invoice, IssuedCreditNote

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper.service.documents.page import Page

__all__ = ["Credit", "Paper"]

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Credit(Struct, frozen=True):
    """A credit note as it was issued, and what it gives back."""

    issued: IssuedCreditNote
    note: CreditNote


class Paper(Struct, frozen=True, kw_only=True):
    """An invoice, or the credit note on it."""

    invoice: Invoice
    statement: Statement
    credit: Credit | None = None

    @property
    def subject(self) -> Invoice | IssuedCreditNote:
        """The record that the paper is of."""
        return self.invoice if self.credit is None else self.credit.issued

    @property
    def issued_at(self) -> datetime:
        """When it was written."""
        return self.invoice.finalized_at or self.invoice.at if self.credit is None else self.credit.issued.created_at

    @property
    def filename(self) -> str:
        """Its name as a file, without an ending: its number, of a draft its id."""
        return UNSAFE.sub("-", self.subject.number or self.subject.id).strip("-.") or self.subject.id

    def page(self) -> Page:
        """What stands on it; raises MissingDependencyError, as all that follows."""
        if self.credit is None:
            return invoice_page(self.invoice, self.statement)
        return credit_note_page(self.credit.issued, self.credit.note, self.invoice, self.statement)

    def html(self) -> str:
        """A page of its own: no script, nothing from elsewhere."""
        return html_of(self.page())

    def pdf(self) -> bytes:
        """A file to be kept: tagged, with its fonts."""
        return pdf_of(self.page(), self.issued_at)
