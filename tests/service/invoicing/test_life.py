"""What becomes of an invoice: final with all that it uses up, paid, void, given back; and invoices by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.billing_shop import BillingShop, at
from tollkeeper.billing.customer import Customer
from tollkeeper.errors import ConflictError, InvalidRequestError, NotFoundError, UnprocessableError
from tollkeeper.service.invoicing.accounts import load_accounts, only_keys
from tollkeeper.service.invoicing.by_hand import NewInvoice, draft_by_hand, finalize_invoice, work_out_draft
from tollkeeper.service.invoicing.crediting import CreditedLine, NewCreditNote, issue_credit_note
from tollkeeper.service.invoicing.line_events import list_line_events
from tollkeeper.service.invoicing.paying import pay_invoice, void_invoice
from tollkeeper.service.invoicing.showing import show_credit_note, show_detail
from tollkeeper.service.invoicing.statements import invoice_statement
from tollkeeper.store.audit import AuditEntry
from tollkeeper.store.invoices import Invoice, InvoiceEmail, InvoiceLine, IssuedCreditNote
from tollkeeper.store.selling import CustomerCoupon, CustomerWallet, InvoiceItem

if TYPE_CHECKING:
    from collections.abc import Sequence

OVER = at("2026-10-05")
VAT = {"rates": [{"name": "VAT", "percent": "20"}]}


def billed(shop: BillingShop, calls: int = 1_000) -> Invoice:
    """The final invoice of a customer for some calls in September."""
    shop.call("acme", at("2026-09-10"), calls)
    shop.run("2026-09", OVER)
    (invoice,) = shop.invoices(period="2026-09", state="finalized")
    return invoice


def pay(shop: BillingShop, invoice: Invoice) -> Invoice:
    with shop.edit() as edit:
        return pay_invoice(edit, invoice.id)


def void(shop: BillingShop, invoice: Invoice) -> Invoice:
    with shop.edit() as edit:
        return void_invoice(edit, invoice.id)


def credit(shop: BillingShop, invoice: Invoice, lines: Sequence[tuple[int, str]] | None = None) -> IssuedCreditNote:
    chosen = None if lines is None else [CreditedLine(n=n, amount=Decimal(amount)) for n, amount in lines]
    with shop.edit() as edit:
        return issue_credit_note(edit, shop.service.settings, invoice.id, NewCreditNote(lines=chosen, reason="Sorry"))


def by_hand(shop: BillingShop, *lines: tuple[str, str], **values: Any) -> Invoice:
    new = {"customer": "acme", "lines": [{"name": name, "amount": amount} for name, amount in lines]} | values
    with shop.edit() as edit:
        return draft_by_hand(edit, shop.service.settings, msgspec.convert(new, NewInvoice, strict=False))


def finalize(shop: BillingShop, invoice: Invoice) -> Invoice:
    worked = work_out_draft(shop.service, invoice.id)
    with shop.edit() as edit:
        return finalize_invoice(edit, shop.service.settings, invoice.id, worked)


def left(shop: BillingShop) -> tuple[list[Decimal], list[tuple[Decimal | None, int | None]], list[str | None]]:
    """Balances of wallets, what is left of coupons, and the invoices of items."""
    return (
        [one.balance for one in shop.find(CustomerWallet)],
        [(one.left, one.invoices_left) for one in shop.find(CustomerCoupon)],
        [one.invoice for one in shop.find(InvoiceItem)],
    )


def test_what_an_invoice_uses_up_is_given_back_when_it_is_void(shop: BillingShop) -> None:
    shop.customer("acme", email="pay@acme.example")
    shop.wallet("acme", "2.50")
    shop.wallet("acme", "9", expires_at=at("2026-10-01"))
    shop.coupon("acme", amount="3.00")
    shop.coupon("acme", percent="10", invoices_left=2)
    shop.item("acme", "Set-up", "20", at("2026-09-03"))
    shop.item("acme", "Next month", "7", at("2026-10-03"))
    before = left(shop)
    invoice = billed(shop)
    said = invoice_statement(invoice)

    # 10.00 and 20.00 less 3.00 and then 10 per cent
    assert (invoice.subtotal, invoice.discount, invoice.total, invoice.due) == (
        Decimal("30.00"),
        Decimal("5.70"),
        Decimal("24.30"),
        Decimal("21.80"),
    )
    assert said.buyer.email == "pay@acme.example"
    assert left(shop) == (
        [Decimal("0.00"), Decimal(9)],
        [(Decimal("0.00"), None), (None, 1)],
        [invoice.id, None],
    )
    shown = show_detail_of(shop, invoice)
    assert [(one.name, one.amount) for one in shown.coupons] == [
        ("Welcome", Decimal("3.00")),
        ("Welcome", Decimal("2.70")),
    ]
    assert [one.amount for one in shown.wallets] == [Decimal("2.50")]

    gone = void(shop, invoice)
    assert (gone.state, gone.number, gone.voided_at) == ("void", "INV-000001", shop.now)
    assert left(shop) == before
    assert {line.state for line in shop.find(InvoiceLine)} == {"void"}
    entries = [entry for entry in shop.find(AuditEntry) if entry.record == invoice.id]
    assert [(entry.action, entry.actor) for entry in entries] == [("update", "test")]
    assert "document" not in str(entries[0].after)

    shop.run("2026-09", OVER)
    again = shop.invoices(period="2026-09")[-1]
    assert (again.attempt, again.number, again.due) == (2, "INV-000002", invoice.due)
    assert show_detail_of(shop, again).lines[0].quantity == Decimal(1_000)


def show_detail_of(shop: BillingShop, invoice: Invoice) -> Any:
    with shop.service.catalog.reading() as records:
        return show_detail(records, invoice)


def test_what_wallets_pay_is_paid_at_once(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.wallet("acme", "100")
    shop.call("acme", at("2026-09-10"), 1_000)
    shop.run("2026-09", OVER)
    (invoice,) = shop.invoices()
    assert (invoice.state, invoice.due, invoice.paid_at) == ("paid", Decimal("0.00"), OVER)
    assert [line.state for line in shop.find(InvoiceLine)] == ["paid"]
    with pytest.raises(ConflictError, match="credit note"):
        void(shop, invoice)
    with pytest.raises(ConflictError, match="nothing to pay"):
        pay(shop, invoice)


def test_life_goes_one_way(memory: BillingShop) -> None:
    memory.customer("acme")
    memory.call("acme", at("2026-09-10"), 1_000)
    memory.run("2026-09", at("2026-09-20"))
    (draft,) = memory.invoices()
    with pytest.raises(ConflictError, match="make it final first"):
        pay(memory, draft)
    with pytest.raises(ConflictError, match="is draft"):
        credit(memory, draft)
    assert void(memory, draft).state == "void"
    assert memory.invoices() == memory.find(InvoiceLine) == []

    invoice = billed(memory)
    paid = pay(memory, invoice)
    assert (paid.state, paid.paid_at, paid.document) == ("paid", memory.now, invoice.document)
    assert [line.state for line in memory.find(InvoiceLine)] == ["paid"]
    with pytest.raises(ConflictError, match="is paid already"):
        finalize(memory, paid)
    with pytest.raises(NotFoundError):
        pay(memory, draft)
    with pytest.raises(NotFoundError):
        finalize(memory, draft)


def test_a_void_invoice_is_no_more_to_be_changed(memory: BillingShop) -> None:
    memory.customer("acme")
    invoice = void(memory, billed(memory))
    with pytest.raises(ConflictError, match="nothing to take back"):
        void(memory, invoice)
    with pytest.raises(ConflictError, match="is void"):
        credit(memory, invoice)


def test_a_draft_is_made_final_by_hand_with_the_newest_events(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.call("acme", at("2026-09-10"), 100)
    shop.run("2026-09", at("2026-09-30"))
    (draft,) = shop.invoices()
    shop.now = at("2026-09-30")
    with pytest.raises(ConflictError, match="2026-09 is not over"):
        finalize(shop, draft)
    shop.now = at("2026-10-01T00:00")
    shop.call("acme", at("2026-09-11"), 1)
    final = finalize(shop, draft)
    assert (final.id, final.number, final.total) == (draft.id, "INV-000001", Decimal("1.01"))
    assert [entry.action for entry in shop.find(AuditEntry) if entry.record == draft.id] == ["update"]
    with pytest.raises(ConflictError, match="finalized already"):
        finalize(shop, draft)
    assert shop.run("2026-09", OVER).unchanged == 1


def test_a_draft_that_was_overtaken_is_not_made_final(memory: BillingShop) -> None:
    memory.customer("acme")
    memory.now = at("2026-10-02")
    item = memory.item("acme", "Set-up", "100", at("2026-09-03"))
    memory.run("2026-09", memory.now)
    (draft,) = memory.invoices()
    with memory.edit() as edit, pytest.raises(ConflictError, match="try again"):
        finalize_invoice(edit, memory.service.settings, draft.id, None)
    with memory.edit() as edit:
        edit.remove(item)
    with pytest.raises(ConflictError, match="nothing to be paid"):
        finalize(memory, draft)


def test_an_invoice_by_hand(shop: BillingShop) -> None:
    shop.customer("acme", currency="EUR")
    shop.profile("acme", taxes=VAT, language="de", legal_name="Acme GmbH", tax_id="DE1", net_days=30)
    draft = by_hand(shop, ("Workshop", "1000"), ("Discount", "-100"))
    assert (draft.period, draft.state, draft.total) == (None, "draft", Decimal("1080.00"))
    statement = invoice_statement(draft)
    assert (statement.language, statement.buyer.name, statement.buyer.tax_id) == ("de", "Acme GmbH", "DE1")
    final = finalize(shop, draft)
    assert (final.number, final.due_at) == ("INV-000001", at("2026-10-01"))
    assert shop.lines(final) == [("one_off", "Workshop", 100_000), ("one_off", "Discount", -10_000)]
    assert by_hand(shop, ("More", "1"), currency="JPY").total == Decimal(1)
    assert list_line_events(shop.service, final.id, 1).items == []


def test_what_an_invoice_by_hand_may_not_say(memory: BillingShop) -> None:
    memory.customer("acme")
    for lines, values, said in (
        ([("A", "1")], {}, "has no currency"),
        ([("A", "0")], {"currency": "EUR"}, "is 0"),
        ([("A", "0.001")], {"currency": "EUR"}, "decimals"),
        ([("A", "NaN")], {"currency": "EUR"}, "decimal"),
        ([("A", "-1E+999999999")], {"currency": "EUR"}, "18 digits"),
        ([("A", "1")], {"currency": "XXX"}, "ISO 4217"),
        ([("A", "1")], {"currency": "EUR", "customer": "nobody"}, "no customer"),
    ):
        with pytest.raises(UnprocessableError, match=said):
            by_hand(memory, *lines, **values)
    taxed = {"currency": "EUR", "lines": [{"name": "A", "amount": "1", "taxes": ["GST"]}]}
    with pytest.raises(UnprocessableError, match="GST"):
        by_hand(memory, **taxed)
    assert memory.invoices() == []


def test_a_credit_note_of_an_unpaid_invoice_has_less_due(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.profile("acme", taxes=VAT)
    invoice = billed(shop)  # 10.00 and 2.00 tax
    first = credit(shop, invoice, [(1, "4.00")])
    assert (first.number, first.net, first.tax, first.total, first.reason) == (
        "CN-000001",
        Decimal("4.00"),
        Decimal("0.80"),
        Decimal("4.80"),
        "Sorry",
    )
    (now,) = shop.invoices()
    assert (now.state, now.due, now.total, now.document) == (
        "finalized",
        Decimal("7.20"),
        Decimal("12.00"),
        invoice.document,
    )
    with pytest.raises(ConflictError, match="has credit notes"):
        void(shop, invoice)
    with pytest.raises(UnprocessableError, match=r"6\.00 EUR are left"):
        credit(shop, invoice, [(1, "6.01")])
    assert credit(shop, invoice).total == Decimal("7.20")
    assert [(one.state, one.due) for one in shop.invoices()] == [("paid", Decimal("0.00"))]
    assert [line.state for line in shop.find(InvoiceLine)] == ["paid"]
    assert shop.find(CustomerWallet) == []
    with pytest.raises(ConflictError, match="given back already"):
        credit(shop, invoice)
    shown = show_credit_note(first)
    assert ([(line.n, line.amount) for line in shown.lines], shown.taxes) == (
        [(1, Decimal("4.00"))],
        {"VAT": Decimal("0.80")},
    )
    assert show_detail_of(shop, invoice).credit_notes == ["CN-000001", "CN-000002"]


def test_a_credit_note_of_what_was_paid_becomes_credit(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.wallet("acme", "4")
    invoice = billed(shop)
    note = credit(shop, invoice, [(1, "8.00")])  # 6.00 were due, so 2.00 of it had been paid before
    wallets = shop.find(CustomerWallet)
    assert [(one.name, one.balance) for one in wallets[1:]] == [("CN-000001", Decimal("2.00"))]
    assert shop.invoices()[0].state == "paid"
    assert note.invoice == invoice.id
    credit(shop, invoice, [(1, "1.00")])
    assert [one.balance for one in shop.find(CustomerWallet)[2:]] == [Decimal("1.00")]


def test_what_a_credit_note_may_not_give_back(memory: BillingShop) -> None:
    memory.customer("acme", currency="EUR")
    invoice = finalize(memory, by_hand(memory, ("A", "10"), ("B", "-2")))
    for lines, said in (
        ([(3, "1")], "no line 3"),
        ([(1, "1"), (1, "2")], "twice"),
        ([(2, "-1")], "more than 0 in all"),
        ([(1, "0")], "more than 0 in all"),
        ([(1, "9")], "net are left"),
        ([(1, "1E+999999999")], "18 digits"),
        ([(1, "NaN")], "decimal"),
    ):
        with pytest.raises(UnprocessableError, match=said):
            credit(memory, invoice, lines)
    assert memory.find(IssuedCreditNote) == []
    assert credit(memory, invoice).total == Decimal("8.00")


def test_final_invoices_and_credit_notes_are_to_be_sent() -> None:
    shop = BillingShop("memory:", invoice_email=True, invoice_prefix="2026-", seller_address="1 Road|Town")
    shop.customer("acme", email="pay@acme.example")
    shop.customer("quiet")
    for name in ("acme", "quiet"):
        shop.call(name, at("2026-09-10"), 3)
    shop.run("2026-09", OVER)
    (invoice,) = shop.invoices("acme")
    assert invoice_statement(invoice).seller.address == "1 Road\nTown"
    assert [(one.subject, one.address, one.at) for one in shop.find(InvoiceEmail)] == [
        (invoice.id, "pay@acme.example", OVER)
    ]
    assert [one.number for one in shop.invoices()] == ["2026-000001", "2026-000002"]
    note = credit(shop, invoice, [(1, "0.01")])
    assert [one.subject for one in shop.find(InvoiceEmail)] == [invoice.id, note.id]
    (other,) = shop.invoices("quiet")
    credit(shop, other)
    void_draft = by_hand(shop, ("A", "1"), currency="EUR")
    final = finalize(shop, void_draft)
    assert final.id in {one.subject for one in shop.find(InvoiceEmail)}
    void(shop, final)
    assert final.id not in {one.subject for one in shop.find(InvoiceEmail)}


def test_the_events_of_a_line_page_by_page(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.customer("other")
    shop.call("other", at("2026-09-10"), 5)
    shop.call("acme", at("2026-09-10"), 5, route="/free")
    shop.call("acme", at("2026-09-11"), 3)
    shop.call("acme", at("2026-09-10"), 4)
    shop.plan("fee", currency="EUR", fee="5")
    shop.run("2026-09", OVER)
    (invoice,) = shop.invoices("acme")
    seen, after = [], None
    while True:
        page = list_line_events(shop.service, invoice.id, 1, after=after, limit=3)
        seen += [(stored.event.time_us, stored.event.route) for stored in page.items]
        after = page.next
        if after is None:
            break
    assert len(seen) == 7
    assert seen == sorted(seen)
    assert {route for _, route in seen} == {"/maps"}
    for wrong in ("x", "1", "1.2.3", "9" * 40 + ".1"):
        with pytest.raises(InvalidRequestError, match="none of ours"):
            list_line_events(shop.service, invoice.id, 1, after=wrong)
    with pytest.raises(InvalidRequestError, match="limit is 0"):
        list_line_events(shop.service, invoice.id, 1, limit=0)
    with pytest.raises(NotFoundError, match="no line 2"):
        list_line_events(shop.service, invoice.id, 2)
    late = f"{seen[-1][0] + 10**13}.1"
    assert list_line_events(shop.service, invoice.id, 1, after=late).items == []


def test_coupons_that_do_not_serve_are_kept(memory: BillingShop) -> None:
    memory.customer("acme")
    memory.coupon("acme", amount="3.00", expires_at=at("2026-10-01"))
    memory.coupon("acme", percent="10", invoices_left=0)
    memory.coupon("acme", percent="100", invoices_left=3)
    memory.coupon("acme", percent="10", invoices_left=3)  # of nothing that is left
    with memory.edit() as edit:
        dollars = CustomerCoupon(
            id="cou_9",
            customer=memory.customers["acme"],
            name="USD",
            amount=Decimal(3),
            left=Decimal(3),
            currency="USD",
            created_at=memory.now,
        )
        edit.add(dollars)
    assert billed_at_once(memory).total == Decimal("0.00")
    assert [one.invoices_left for one in memory.find(CustomerCoupon)] == [None, 0, 2, 3, None]


def billed_at_once(shop: BillingShop) -> Invoice:
    shop.call("acme", at("2026-09-10"), 100)
    shop.run("2026-09", OVER)
    (invoice,) = shop.invoices(state="paid")
    return invoice


def test_a_currency_that_is_final_waits_for_no_other(shop: BillingShop) -> None:
    shop.customer("acme")
    shop.call("acme", at("2026-09-10"), 100)
    shop.item("acme", "Set-up", "50", at("2026-09-03"), currency="USD")
    shop.now = at("2026-10-02")
    shop.run("2026-09", shop.now)
    (euros,) = shop.invoices(currency="EUR")
    finalize(shop, euros)
    shop.item("acme", "Too late", "5", at("2026-09-04"))
    shop.call("acme", at("2026-09-11"), 1)
    assert shop.run("2026-09", OVER).totals == {"USD": Decimal("50.00")}
    shop.run("2026-10", at("2026-11-05"))
    assert shop.lines(shop.invoices(period="2026-10")[0]) == [("usage", "GET /maps", 1), ("one_off", "Too late", 500)]


def test_a_line_of_a_fee_or_a_minimum_names_no_events(memory: BillingShop) -> None:
    memory.plan("gold", currency="EUR", fee="20", minimum="25", kind="discount_percent", amount="10")
    memory.customer("acme", plan="gold")
    memory.call("acme", at("2026-09-10"), 100)
    memory.run("2026-09", OVER)
    (invoice,) = memory.invoices()
    counts = {
        kind: len(list_line_events(memory.service, invoice.id, n, limit=1000).items)
        for n, (kind, _, _) in enumerate(memory.lines(invoice), 1)
    }
    assert counts == {"base_fee": 0, "usage": 100, "discount": 100, "minimum": 0}


def test_a_key_that_was_not_read_is_for_the_next_time(memory: BillingShop) -> None:
    memory.customer("acme")
    with memory.service.catalog.reading() as records:
        account = load_accounts(records, records.find(Customer))[memory.customers["acme"]]
    assert only_keys(account, {memory.keys["acme"]}) is account
    assert only_keys(account, set()).facts.keys == []
