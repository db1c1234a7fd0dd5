"""Letters: written in the customer's language, sent once as far as SMTP allows, given up on at last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from support.alerts import opened
from support.invoices import END, a_credit_note, a_statement, an_invoice, fixed
from support.mailbox import Mailbox, authority
from tollkeeper.billing.credit_note import credit_invoice
from tollkeeper.billing.customer import Customer
from tollkeeper.billing.party import Party
from tollkeeper.billing.wallet import Wallet
from tollkeeper.errors import ConfigurationError, ConflictError, NotFoundError, UnprocessableError
from tollkeeper.events.ids import record_id
from tollkeeper.service.audit import editing
from tollkeeper.service.documents import mailing
from tollkeeper.service.documents.finding import credit_note_paper, invoice_paper, paper_of
from tollkeeper.service.documents.letter import letter_with
from tollkeeper.service.documents.mailing import deliver_emails, send_again
from tollkeeper.service.documents.papers import Paper
from tollkeeper.service.rollups import beats_of
from tollkeeper.settings import Settings
from tollkeeper.store.invoices import Invoice, InvoiceEmail, IssuedCreditNote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Records

NOW = datetime(2026, 11, 4, 9, tzinfo=UTC)
TRIES = 4
SETTINGS = Settings(mail_from="Tolls <billing@shop.example>")
CUSTOMER = Customer(id="cus_1", name="Initech", email="ap@initech.example", time_zone="Europe/Berlin", created_at=NOW)


@pytest.fixture(scope="module")
def opened_box() -> Iterator[Mailbox]:
    with Mailbox().open(None) as box:
        yield box


@pytest.fixture
def box(opened_box: Mailbox) -> Mailbox:
    opened_box.letters, opened_box.recipients, opened_box.encrypted = [], [], []
    opened_box.refuse = opened_box.refuse_recipient = ""
    return opened_box


@pytest.fixture
def service(box: Mailbox) -> Iterator[Service]:
    service = opened(mail_from="billing@shop.example", smtp=f"smtp://127.0.0.1:{box.port}")
    with service.catalog.writing() as records:
        records.add(CUSTOMER)
        records.add(an_invoice(a_statement(fixed("100"), fixed("20"), language="de")))
    yield service
    service.close()


def queue(records: Records, subject: Invoice | IssuedCreditNote, now: datetime, address: str = "") -> InvoiceEmail:
    email = InvoiceEmail(
        id=record_id("ine"), subject=subject.id, address=address or CUSTOMER.email or "", at=now, created_at=now
    )
    records.add(email)
    return email


def queued(service: Service, now: datetime = NOW, **changes: Any) -> InvoiceEmail:
    with service.catalog.writing() as records:
        invoice = replace(invoice_paper(records, "inv_1").invoice, **changes)
        records.replace(invoice)
        return queue(records, invoice, now)


def emails(service: Service) -> list[InvoiceEmail]:
    with service.catalog.reading() as records:
        return records.find(InvoiceEmail)


def only(service: Service) -> InvoiceEmail:
    (email,) = emails(service)
    return email


def test_an_invoice_goes_out_once_with_its_pdf(service: Service, box: Mailbox) -> None:
    email = queued(service)
    assert deliver_emails(service, NOW) == 1
    assert deliver_emails(service, NOW + timedelta(days=1)) == 0
    sent = only(service)
    assert (sent.state, sent.attempts, sent.error) == ("delivered", 1, None)
    assert sent.delivered_at is not None
    (letter,) = box.letters
    assert box.recipients == ["ap@initech.example"]
    assert letter["Subject"] == "Rechnung INV-000042 · Acme Maps GmbH"
    assert letter["From"] == "Acme Maps GmbH <billing@shop.example>"
    assert letter["Reply-To"] == "billing@acme.example"
    assert letter["Message-ID"] == f"<{email.id}@shop.example>"
    assert letter["Date"] == "Wed, 04 Nov 2026 09:00:00 +0000"
    text, html = (letter.get_body([kind]) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\xa0", " ").replace("\r", "") == (
        "Guten Tag Initech B.V.,\n\nanbei erhalten Sie die Rechnung INV-000042 vom 4. November 2026.\n\n"
        "Bitte zahlen Sie 120,00 € bis zum 18. November 2026.\n\nMit freundlichen Grüßen\nAcme Maps GmbH\n"
    )
    assert '<html lang="de" dir="ltr">' in html.get_content()
    (attached,) = letter.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("INV-000042.pdf", "application/pdf")
    with service.catalog.reading() as records:
        assert attached.get_content() == invoice_paper(records, "INV-000042").pdf()


@pytest.mark.filterwarnings(
    "ignore:Requiring AUTH while not requiring TLS:UserWarning"
)  # it does not see that TLS is there
def test_it_goes_by_tls_and_login(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    queued(service)
    with Mailbox().open(authority(tmp_path)) as box:
        smtp = f"smtp://alerts:se%20cret%25%2F%40%3A@127.0.0.1:{box.port}"
        safe = replace(service, settings=replace(service.settings, smtp=smtp))
        assert deliver_emails(safe, NOW) == 1
    assert box.encrypted == [True]


def test_it_is_tried_again_later_and_later_and_given_up_on_at_last(
    service: Service, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "MAX_ATTEMPTS", TRIES)
    queued(service)
    box.refuse, now = "451 later", NOW
    waits = []
    for attempt in range(1, TRIES):
        assert deliver_emails(service, now) == 0
        email = only(service)
        assert (email.state, email.attempts, email.error) == ("pending", attempt, "The mail server answered 451.")
        waits.append(email.at - now)
        assert deliver_emails(service, email.at - timedelta(seconds=1)) == 0
        now = email.at + timedelta(seconds=1)
    assert waits == sorted(waits)
    assert waits[0] < timedelta(seconds=20) < waits[-1]
    deliver_emails(service, now)
    assert (only(service).state, only(service).attempts) == ("dead", TRIES)
    box.refuse = ""
    with editing(service.catalog, "test") as edit:
        again = send_again(edit, invoice_paper(edit.records, "INV-000042"))
    assert deliver_emails(service, again.at) == 1
    assert [email.state for email in emails(service)] == ["dead", "delivered"]


def test_what_the_server_refuses_for_good_is_dead_at_once(service: Service, box: Mailbox) -> None:
    queued(service)
    box.refuse_recipient = "550 nobody"
    assert deliver_emails(service, NOW) == 0
    assert (only(service).state, only(service).error) == ("dead", "The mail server refuses the recipient (550).")


def test_one_that_fails_holds_nobody_up(service: Service, box: Mailbox) -> None:
    queued(service)
    with service.catalog.writing() as records:
        records.replace(replace(only(service), address="no address"))
    queued(service)
    assert deliver_emails(service, NOW) == 0
    assert deliver_emails(service, NOW) == 1
    assert [email.state for email in emails(service)] == ["dead", "delivered"]
    assert len(box.letters) == 1


def test_nothing_is_set_up_yet(service: Service) -> None:
    queued(service)
    bare = replace(service, settings=replace(service.settings, smtp=""))
    deliver_emails(bare, NOW)
    assert "set smtp to" in str(only(service).error)
    assert only(service).state == "pending"
    with pytest.raises(ConfigurationError, match="set mail_from"):
        letter_with(Paper(invoice=an_invoice(a_statement()), statement=a_statement()), only(service), Settings())


def test_a_void_invoice_is_not_sent(service: Service, box: Mailbox) -> None:
    queued(service, state="void")
    deliver_emails(service, NOW)
    assert only(service).error == "The invoice is void: only one that is finalized or paid is sent."
    assert only(service).state == "dead"
    assert box.letters == []
    with editing(service.catalog, "test") as edit, pytest.raises(ConflictError, match="invoice is void"):
        send_again(edit, invoice_paper(edit.records, "inv_1"))


def test_what_nobody_thought_of_is_logged_and_tried_again(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    queued(service)
    monkeypatch.setattr(mailing, "letter_with", broken)
    assert deliver_emails(service, NOW) == 0
    assert only(service).error == "ZeroDivisionError: the log of the service says more."
    assert only(service).state == "pending"
    assert "should be reported" in caplog.text


def test_of_two_who_send_one_does(service: Service, box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(service)
    real = letter_with

    def slow(*given: Any) -> Any:
        monkeypatch.setattr(mailing, "letter_with", real)
        assert deliver_emails(service, NOW) == 0
        return real(*given)

    monkeypatch.setattr(mailing, "letter_with", slow)
    assert deliver_emails(service, NOW) == 1
    assert len(box.letters) == 1


def test_who_asks_meanwhile_has_the_last_word(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(service)
    real = letter_with

    def asked(*given: Any) -> Any:
        with editing(service.catalog, "test") as edit:
            send_again(edit, invoice_paper(edit.records, "inv_1"))
        return real(*given)

    monkeypatch.setattr(mailing, "letter_with", asked)
    deliver_emails(service, NOW)
    assert (only(service).state, only(service).attempts) == ("pending", 0)


def test_somebody_else_may_take_the_last_one(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(service)
    found = [only(service)], list[InvoiceEmail]()
    answers = iter(found)
    monkeypatch.setattr(mailing, "_due", lambda *_: next(answers))
    assert deliver_emails(service, NOW) == 0


def test_a_call_sends_some_and_says_that_there_may_be_more(
    service: Service, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "AT_ONCE", 1)
    queued(service)
    queued(service)
    assert [deliver_emails(service, NOW) for _ in range(3)] == [1, 1, 0]
    assert len(box.letters) == 2
    queued(service)
    monkeypatch.setattr(mailing, "SECONDS", 0.0)
    assert deliver_emails(service, NOW) == 0


def test_the_leader_sends(service: Service, box: Mailbox) -> None:
    queued(service)
    (beat,) = (beat for beat in beats_of(service) if beat.late == "Letters")
    assert beat.run()
    assert not beat.run()
    assert len(box.letters) == 1


def test_addresses(service: Service) -> None:
    with service.catalog.writing() as records:
        records.replace(replace(CUSTOMER, email=None))
        invoice = invoice_paper(records, "inv_1").invoice
        other = queue(records, invoice, NOW, "other@initech.example")
    with editing(service.catalog, "test") as edit:
        paper = invoice_paper(edit.records, "inv_1")
        with pytest.raises(UnprocessableError, match="no e-mail address"):
            send_again(edit, paper)
        assert send_again(edit, paper, "other@initech.example").id == other.id
        assert send_again(edit, paper, "third@initech.example").id != other.id


def test_a_credit_note_goes_out(service: Service, box: Mailbox) -> None:
    with editing(service.catalog, "test") as edit:
        paper = invoice_paper(edit.records, "inv_1")
        note = credit_invoice(paper.statement.invoice, [], {0: Decimal(10)})
        issued = a_credit_note(note, NOW)
        edit.records.add(issued)
        assert credit_note_paper(edit.records, "CN-000007") == paper_of(edit.records, "cn_1")
        queue(edit.records, issued, NOW)
        with pytest.raises(NotFoundError):
            paper_of(edit.records, "nothing")
    assert deliver_emails(service, NOW) == 1
    (letter,) = box.letters
    assert letter["Subject"] == "Rechnungskorrektur CN-000007 · Acme Maps GmbH"
    body = letter.get_body(["plain"])
    assert body is not None
    assert "anbei erhalten Sie die Rechnungskorrektur CN-000007 vom 4. November 2026." in body.get_content()
    assert "zahlen" not in body.get_content()
    assert [attached.get_filename() for attached in letter.iter_attachments()] == ["CN-000007.pdf"]


def letter_to(seller: Party, **terms: Any) -> Any:
    statement = a_statement(fixed("10"), seller=seller, **terms)
    paper = Paper(invoice=an_invoice(statement), statement=statement)
    email = InvoiceEmail(id="ine_1", subject="inv_1", address="ap@initech.example", at=END, created_at=END)
    return letter_with(paper, email, SETTINGS)


def test_hostile_names_make_no_headers_and_no_markup() -> None:
    hostile = Party(name='Evil"\r\nBcc: all@x.example\r\n\r\n<b>', email="a@b\r\nBcc: x@y.example")
    letter = letter_to(hostile, buyer=Party(name="<script>alert(1)</script>"))
    assert letter["Bcc"] is None
    assert letter["Reply-To"] is None
    assert "<script>" not in letter.get_body(["html"]).get_content()
    assert b"\r\nBcc:" not in letter.as_bytes()


def test_nothing_to_pay_and_no_seller() -> None:
    wallet = Wallet(id="w", currency="EUR", balance=Decimal(10))
    letter = letter_to(Party(name=""), wallets=(wallet,), language="ar")
    assert letter["From"] == "Tolls <billing@shop.example>"
    assert 'dir="rtl"' in letter.get_body(["html"]).get_content()
    assert "لا يوجد مبلغ مستحق." in letter.get_body(["plain"]).get_content()
