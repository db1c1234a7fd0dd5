"""Papers on their way to customers: queued, and sent by the leader again and again until a mail server has them."""

from __future__ import annotations

import logging
import random
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.customer import Customer
from tollkeeper.errors import ConflictError, SinkError, TollkeeperError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.service.alerts.delivery import MAX_ATTEMPTS, wait_after
from tollkeeper.service.alerts.letter import check_address
from tollkeeper.service.alerts.post_office import mail, mail_server
from tollkeeper.service.documents.finding import paper_of
from tollkeeper.service.documents.letter import letter_with
from tollkeeper.store.invoices import InvoiceEmail

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.documents.papers import Paper
    from tollkeeper.store.protocols import Records

__all__ = ["deliver_emails", "send_again"]

AT_ONCE = 20
SECONDS = 10.0
CLAIM = timedelta(seconds=120)
"""How long a letter is left alone by others at least: longer than writing its PDF and sending it takes."""
INSTANT = timedelta(microseconds=1)
log = logging.getLogger("tollkeeper")


class Claim(Struct, frozen=True):
    """A letter as it was, and as the store holds it meanwhile: as if the try that is to come had failed."""

    email: InvoiceEmail
    held: InvoiceEmail


def send_again(edit: Edit, paper: Paper, address: str | None = None) -> InvoiceEmail:
    """Have a paper sent, once more if it was sent before; one that waits for the same address is tried at once.

    Raises ConflictError for a draft or a void invoice, UnprocessableError without an address.
    """
    subject = paper.subject
    if refusal := _refusal(paper):
        raise ConflictError(refusal)
    customer = edit.records.get(Customer, subject.customer)
    to = check_address(address or (customer.email if customer else None) or "")
    for waiting in edit.records.find(InvoiceEmail, subject=subject.id, address=to, state="pending"):
        again = replace(waiting, attempts=0, at=edit.now)
        edit.replace(waiting, again)
        return again
    email = InvoiceEmail(id=record_id("ine"), subject=subject.id, address=to, at=edit.now, created_at=edit.now)
    edit.add(email)
    return email


def deliver_emails(service: Service, now: datetime) -> int:
    """Send what is due at ``now``, 20 letters or 10 s at most, and note what became of them; how many were delivered.

    At least once: one that was sent and not noted goes out again two minutes later or more, with the same Message-ID.
    Nothing is sent that could not be claimed in the store before. The first that fails ends the call. Raises
    StoreError.
    """
    begun, delivered = time.monotonic(), 0
    while delivered < AT_ONCE and (passed := time.monotonic() - begun) < SECONDS:
        claim = _claim(service, now + timedelta(seconds=passed))
        if claim is None:
            break
        became = _tried(service, claim, now + timedelta(seconds=time.monotonic() - begun))
        with service.catalog.writing() as records:
            # Somebody may have asked for another try meanwhile: then theirs is the word that counts.
            if records.get(InvoiceEmail, became.id) == claim.held:
                records.replace(became)
        if became.state != "delivered":
            break
        delivered += 1
    return delivered


def _claim(service: Service, now: datetime) -> Claim | None:
    with service.catalog.reading() as records:
        if not _due(records, now):
            return None
    with service.catalog.writing() as records:
        for email in _due(records, now):
            attempts = email.attempts + 1
            held = replace(email, attempts=attempts, at=now + max(CLAIM, _wait(attempts)))
            records.replace(held)
            return Claim(email, held)
    return None


def _due(records: Records, now: datetime) -> list[InvoiceEmail]:
    return records.page(InvoiceEmail, after=None, limit=1, end=now + INSTANT, state="pending")


def _tried(service: Service, claim: Claim, now: datetime) -> InvoiceEmail:
    error, retry = _sent(service, claim.email)
    attempts = claim.held.attempts
    tried = replace(claim.email, attempts=attempts, error=error, at=now)
    if error is None:
        return replace(tried, state="delivered", delivered_at=now)
    if not retry or attempts >= MAX_ATTEMPTS:
        return replace(tried, state="dead")
    return replace(tried, at=now + _wait(attempts))


def _sent(service: Service, email: InvoiceEmail) -> tuple[str | None, bool]:
    """Send a letter; what went wrong, None for nothing, and whether another try can help."""
    try:
        with service.catalog.reading() as records:
            paper = paper_of(records, email.subject)
        if refusal := _refusal(paper):
            return refusal, False
        mail(mail_server(service.settings.smtp), letter_with(paper, email, service.settings))
    except SinkError as error:
        return error.detail, error.retry
    except UnprocessableError as error:
        return error.detail, False
    except TollkeeperError as error:  # a setting or a package that can be put right meanwhile
        return error.detail, True
    except Exception as error:
        # One letter that cannot be written, for whatever reason, must not keep those behind it waiting for ever.
        log.exception("The letter %s failed, for a reason that should be reported.", email.id)
        return f"{type(error).__name__}: the log of the service says more.", True
    return None, True


def _refusal(paper: Paper) -> str:
    if paper.credit is not None or paper.invoice.state in {"finalized", "paid"}:
        return ""
    return f"The invoice is {paper.invoice.state}: only one that is finalized or paid is sent."


def _wait(attempts: int) -> timedelta:
    return wait_after(attempts, random.random())  # noqa: S311  # spreads retries
