"""The letter that a paper goes out with: in the customer's language, the PDF attached."""

from __future__ import annotations

import contextlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from typing import TYPE_CHECKING

from tollkeeper.errors import ConfigurationError, UnprocessableError
from tollkeeper.service.alerts.letter import check_address
from tollkeeper.service.documents.formats import formats_for
from tollkeeper.service.documents.texts import clean, fill
from tollkeeper.service.documents.wording import words_for

if TYPE_CHECKING:
    from tollkeeper.service.documents.papers import Paper
    from tollkeeper.settings import Settings
    from tollkeeper.store.invoices import InvoiceEmail

__all__ = ["letter_with"]

SUBJECT_LENGTH = 150
HTML = """\
<!doctype html>
<html lang="{language}" dir="{direction}"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:23px;\
color:#1a1f29">{paragraphs}</body></html>
"""


def letter_with(paper: Paper, email: InvoiceEmail, settings: Settings) -> EmailMessage:
    """Write the letter, with the same Message-ID and Date in every try.

    Raises ConfigurationError without a sender, MissingDependencyError, UnprocessableError for what is no address.
    """
    name, sender = parseaddr(settings.mail_from)
    try:
        check_address(sender)
    except UnprocessableError:
        raise ConfigurationError(
            "There is no sender for e-mail: set mail_from to an address like billing@example.com."
        ) from None
    page, seller = paper.page(), paper.statement.seller
    letter = EmailMessage(policy=SMTP)
    letter["From"] = Address(display_name=clean(seller.name) or clean(name), addr_spec=sender)
    letter["To"] = Address(addr_spec=check_address(email.address))
    with contextlib.suppress(UnprocessableError):
        letter["Reply-To"] = Address(addr_spec=check_address(seller.email or ""))
    letter["Subject"] = page.title[:SUBJECT_LENGTH]
    letter["Date"] = format_datetime(email.created_at)
    letter["Message-ID"] = f"<{email.id}@{sender.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    paragraphs = _paragraphs(paper)
    letter.set_content("\n\n".join(paragraphs) + "\n")
    letter.add_alternative(
        HTML.format(
            language=page.language,
            direction="rtl" if page.rtl else "ltr",
            title=escape(page.title),
            paragraphs="".join(f"<p>{escape(one)}</p>".replace("\n", "<br>") for one in paragraphs),
        ),
        subtype="html",
    )
    letter.add_attachment(paper.pdf(), maintype="application", subtype="pdf", filename=f"{paper.filename}.pdf")
    return letter


def _paragraphs(paper: Paper) -> list[str]:
    invoice, statement = paper.invoice, paper.statement
    formats = formats_for(statement.language, invoice.currency, statement.time_zone)
    words, rtl = words_for(formats.language), formats.rtl
    template = words.letter_invoice if paper.credit is None else words.letter_credit_note
    said = fill(template, rtl=rtl, number=clean(paper.subject.number or ""), date=formats.day(paper.subject.at))
    lines = [fill(words.letter_greeting, rtl=rtl, name=clean(statement.buyer.name)), said]
    if paper.credit is None and invoice.state == "finalized" and invoice.due and invoice.due_at is not None:
        due = {"amount": formats.money(invoice.due), "date": formats.day(invoice.due_at)}
        lines.append(fill(words.letter_due, rtl=rtl, **due))
    elif paper.credit is None:
        lines.append(words.letter_nothing_due)
    return [*lines, "\n".join([words.letter_close, *filter(None, [clean(statement.seller.name)])])]
