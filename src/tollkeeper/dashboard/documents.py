"""Invoices and credit notes as documents to be kept: HTML that needs nothing else, and PDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response, get
from litestar.enums import MediaType

from tollkeeper.service.documents.finding import credit_note_paper, invoice_paper
from tollkeeper.service.documents.html import content_policy

if TYPE_CHECKING:
    from litestar.di import NamedDependency
    from litestar.params import FromPath

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.documents.papers import Paper

__all__ = ["DOCUMENT_PAGES"]


@get("/invoices/{invoice:str}/document.html", sync_to_thread=True)
def invoice_page(service: NamedDependency[Service], invoice: FromPath[str]) -> Response[str]:
    """Send an invoice as HTML, under a policy that lets it do nothing but apply its own style."""
    with service.catalog.reading() as records:
        paper = invoice_paper(records, invoice)
    policy = {"Content-Security-Policy": f"{content_policy()}; frame-ancestors 'none'"}
    return Response(paper.html(), media_type=MediaType.HTML, headers=policy)


@get("/invoices/{invoice:str}/document.pdf", sync_to_thread=True)
def invoice_file(service: NamedDependency[Service], invoice: FromPath[str]) -> Response[bytes]:
    """Send an invoice as PDF."""
    with service.catalog.reading() as records:
        paper = invoice_paper(records, invoice)
    return _pdf(paper)


@get("/credit-notes/{note:str}/document.pdf", sync_to_thread=True)
def credit_note_file(service: NamedDependency[Service], note: FromPath[str]) -> Response[bytes]:
    """Send a credit note as PDF."""
    with service.catalog.reading() as records:
        paper = credit_note_paper(records, note)
    return _pdf(paper)


def _pdf(paper: Paper) -> Response[bytes]:
    disposition = {"Content-Disposition": f'attachment; filename="{paper.filename}.pdf"'}
    return Response(paper.pdf(), media_type="application/pdf", headers=disposition)


DOCUMENT_PAGES = (invoice_page, invoice_file, credit_note_file)
