"""What stands on invoices and credit notes, read from the files that customers get."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from pypdf import PdfReader

from support.invoices import END, START, a_credit_note, a_paper, a_part, a_statement, an_invoice, fixed, used
from tollkeeper.billing.coupon import Coupon
from tollkeeper.billing.credit_note import credit_invoice
from tollkeeper.billing.party import Party
from tollkeeper.billing.price_rows import PriceRow, parse_price
from tollkeeper.billing.tax import TaxRate
from tollkeeper.billing.wallet import Wallet
from tollkeeper.errors import MissingDependencyError
from tollkeeper.service.documents import library, pdf
from tollkeeper.service.documents.papers import Credit, Paper

if TYPE_CHECKING:
    from tollkeeper.billing.statement import Statement

VAT = TaxRate(name="VAT", percent=Decimal(19))
MIDDLE = datetime(2026, 10, 15, tzinfo=UTC)
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3


def read(document: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(document))


def flat(text: str) -> str:
    """A text with plain spaces and signs, without the marks of directions."""
    text = text.replace("\u2013", "-").replace("\u00d7", "x")
    return re.sub(r"[ \n\u00a0\u2009\u202f]+", " ", re.sub("[\u200e\u200f\u2066-\u2069]", "", text))


def text_of(statement: Statement, **values: Any) -> str:
    found = read(a_paper(statement, **values).pdf())
    return flat("\n".join(page.extract_text() for page in found.pages))


def html_of(statement: Statement, **values: Any) -> str:
    return flat(re.sub(r"<style>.*?</style>|<[^>]+>", " ", a_paper(statement, **values).html()))


def test_one_line() -> None:
    text = text_of(a_statement(used("GET /v1/geocode", 12_345), taxes=(VAT,)))
    for part in (
        "Invoice From Acme Maps GmbH Hauptstraße 1 10115 Berlin",
        "IBAN DE00 1234 5678 9012 3456 78 billing@acme.example Tax ID: DE123456789",
        "Bill to Initech B.V. Keizersgracht 1 1015 CJ Amsterdam ap@initech.example Tax ID: NL1B01",
        "Number INV-000042 Date of issue November 4, 2026 Period Oct 1 - 31, 2026 Due date November 18, 2026",
        "Amount due €146.91 Due date: November 18, 2026",
        "Description Quantity Unit price Amount (EUR)",
        "Business Oct 1 - 31, 2026 · Subscription sub_1",
        "GET /v1/geocode 12,345 €0.01 123.45",
        "Net amount €123.45 VAT 19% on €123.45 €23.46 Total €146.91 Amount due €146.91",
        "Usage is counted in calls, unless a line says otherwise.",
        "Page 1 of 1",
    ):
        assert part in text
    assert "Subtotal" not in text


def test_a_fee_alone_has_no_column_for_quantities() -> None:
    text = text_of(a_statement(fixed("49", kind="base_fee", name="base_fee")))
    assert "Description Amount (EUR) Business Oct 1 - 31, 2026 · Subscription sub_1 Base fee 49.00" in text
    assert "counted in calls" not in text


def test_two_hundred_lines_go_over_pages_with_the_head_on_each() -> None:
    statement = a_statement(*(used(f"GET /v1/things/{n}", 1_000 * n) for n in range(1, 201)), taxes=(VAT,))
    document = read(a_paper(statement).pdf())
    pages = [flat(page.extract_text()) for page in document.pages]
    assert len(pages) == 6
    for number, page in enumerate(pages, 1):
        assert page.count("Description Quantity Unit price Amount (EUR)") == 1
        assert page.count("Business Oct 1 - 31, 2026 · Subscription sub_1") == 1
        assert f"Page {number} of 6" in page
    whole = " ".join(pages)
    assert all(f"GET /v1/things/{n} {1_000 * n:,} €0.01 {10 * n:,}.00" in whole for n in range(1, 201))
    assert "Net amount €201,000.00 VAT 19% on €201,000.00 €38,190.00 Total €239,190.00 Amount due" in pages[-1]


@pytest.mark.parametrize("lines", range(22, 29))
def test_sums_are_never_parted(lines: int) -> None:
    statement = a_statement(*(used(f"GET /v1/things/{n}", 1_000) for n in range(lines)), taxes=(VAT,))
    pages = [flat(page.extract_text()) for page in read(a_paper(statement).pdf()).pages]
    assert sum(bool(re.search("Net amount .* Total .* Amount due €[^ ]+", page)) for page in pages) == 1


def test_everything_that_takes_off_and_adds() -> None:
    late = a_part(start=datetime(2026, 9, 1, tzinfo=UTC), end=START, earlier=("inv_0",))
    taxes = (VAT, TaxRate(name="City tax", percent=Decimal("1.5")))
    statement = a_statement(
        fixed("49", kind="base_fee", name="base_fee"),
        used("GET /v1/geocode", 48_211, price="0.0015"),
        fixed("-7.23", kind="discount", name="GET /v1/geocode", price="GET /v1/geocode"),
        fixed("-1", kind="maximum", name="GET /v1/geocode"),
        fixed("-2", kind="prepaid", name="GET /v1/geocode"),
        fixed("3", kind="minimum", name="minimum"),
        (1, used("GET /v1/geocode", 211, price="0.0015")),
        (None, fixed("-12.50", name="Goodwill", taxes=("VAT",))),
        (None, fixed("300", name="Workshop", taxes=())),
        parts=(a_part(), late),
        taxes=taxes,
        coupons=(
            Coupon(id="a", name="SPRING", percent=Decimal(10)),
            Coupon(id="b", name="Welcome", amount=Decimal(500), currency="EUR"),
            Coupon(id="c", name="Other", amount=Decimal(5), currency="USD"),
        ),
        wallets=(Wallet(id="w", currency="EUR", balance=Decimal(25)),),
    )
    text = text_of(statement)
    assert text == text_of(statement)
    for part in (
        "Base fee 49.00 GET /v1/geocode 48,211 €0.0015 72.32 Discount of the plan: GET /v1/geocode -7.23",
        "Over the maximum: GET /v1/geocode -1.00 Paid in advance: GET /v1/geocode -2.00",
        "Up to the minimum of the plan 3.00",
        "Late usage: Business Sep 1 - 30, 2026 · Subscription sub_1 GET /v1/geocode 211 €0.0015 0.32",
        "One-off items Goodwill Taxes: VAT -12.50 Workshop Without tax 300.00",
        "Subtotal €401.91 Discount: SPRING -€40.19 Discount: Welcome -€361.72 Net amount €0.00",
        "Welcome: €138.28 left for later invoices.",
    ):
        assert part in text
    assert "Other" not in text
    assert all(part in html_of(statement) for part in ("Late usage: Business", "Goodwill Taxes: VAT", "Welcome -€361"))


def test_wallets_pay_and_what_is_left_is_said() -> None:
    wallets = tuple(Wallet(id=f"w{n}", currency="EUR", balance=Decimal(n)) for n in (4, 50))
    text = text_of(a_statement(fixed("20"), wallets=wallets), state="paid", paid_at=END)
    assert "Total €20.00 Paid from credit -€4.00 Paid from credit (€34.00 left) -€16.00 Amount due €0.00" in text
    assert "Paid on November 1, 2026" in text


def test_what_credit_notes_gave_back_is_not_due_any_more() -> None:
    statement = a_statement(fixed("100"))
    text = text_of(statement, due=Decimal("70.00"))
    assert "Total €100.00 Credited -€30.00 Amount due €70.00" in text
    assert "Amount due €70.00 Due date: November 18, 2026" in text
    text = text_of(statement, due=Decimal("70.00"), state="paid", paid_at=END)
    assert "Total €100.00 Credited -€30.00 Paid on November 1, 2026 -€70.00 Amount due €0.00" in text
    text = text_of(statement, due=Decimal("0.00"), state="paid", paid_at=END)
    assert "Invoice Credited From" in text
    assert "Total €100.00 Credited -€100.00 Amount due €0.00" in text
    assert "Paid" not in text


def test_below_zero_becomes_credit() -> None:
    text = text_of(a_statement(fixed("-50"), fixed("20", kind="base_fee", name="base_fee")))
    assert "Total -€30.00 Kept as credit for later invoices €30.00 Amount due €0.00" in text
    assert "Due date" not in text


def test_taxes_within_prices() -> None:
    text = text_of(a_statement(fixed("119"), taxes=(VAT,), tax_inclusive=True))
    assert "Subtotal €119.00 Net amount €100.00 VAT 19% on €100.00 €19.00 Total €119.00" in text
    assert "Prices include taxes." in text


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Reverse charge"),
        ("de-AT", "Steuerschuldnerschaft des Leistungsempfängers"),
        ("fr", "Autoliquidation"),
        ("es", "Inversión del sujeto pasivo"),
        ("it", "Inversione contabile"),
        ("pt", "Autoliquidação"),
        ("nl", "Btw verlegd"),
    ],
)
def test_reverse_charge_says_what_law_asks(language: str, words: str) -> None:
    tax = TaxRate(name="VAT", percent=Decimal(21), reverse_charge=True)
    text = text_of(a_statement(fixed("100"), taxes=(tax,), language=language))
    assert words in text
    assert "DE123456789" in text
    assert "NL1B01" in text
    assert "0,00" in text or "0.00" in text


def test_states() -> None:
    statement = a_statement(fixed("100"))
    draft = text_of(statement, state="draft", number=None, finalized_at=None)
    assert "Draft invoice Draft From" in draft
    assert "This is a draft." in draft
    assert "Number" not in draft
    assert "Date of issue" not in draft
    assert "Due date" not in draft
    void = text_of(statement, state="void")
    assert "Invoice Void From" in void
    assert "This invoice is void. Nothing is to be paid." in void
    assert "Amount due" not in void
    paid = text_of(statement, state="paid", paid_at=END + timedelta(days=9))
    assert "Invoice Paid From" in paid
    assert "Total €100.00 Paid on November 10, 2026 -€100.00 Amount due €0.00" in paid
    assert ">Draft</div>" in a_paper(statement, state="draft").html()
    assert 'class="mark"' not in a_paper(statement).html()


def model(**values: Any) -> PriceRow:
    return PriceRow(price=parse_price(values))


def tier(**values: Any) -> dict[str, Any]:
    return values


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            model(
                model="graduated",
                tiers=[
                    tier(up_to="1000", unit_price="0.01"),
                    tier(up_to="10000", unit_price="0.008"),
                    tier(unit_price="0.005", flat_fee="5"),
                ],
            ),
            "1,000 x €0.01 = €10.00 over 1,000, up to 10,000: 9,000 x €0.008 = €72.00 over 10,000: 2,345 x €0.005 + €5",
        ),
        (
            model(model="volume", tiers=[tier(up_to="1000", unit_price="1"), tier(unit_price="0.5", flat_fee="2")]),
            "Calls made over 1,000: 12,345 x €0.50 + €2.00 fixed = €6,174.50 12,345 6,174.50",
        ),
        (
            model(model="included", included_units="10000", unit_price="0.01"),
            "Calls made 10,000 included over 10,000: 2,345 x €0.01 = €23.45 12,345 23.45",
        ),
        (
            model(model="graduated_percentage", tiers=[tier(up_to="1000", rate="10"), tier(rate="2.5")]),
            "up to 1,000: 1,000 x 10% = €100.00 over 1,000: 11,345 x 2.5% = €283.625 12,345 383.63",
        ),
        (
            model(model="package", size="1000", package_price="5", free_units="345"),
            "Calls made €5.00 per 1,000 · 345 included 12,345 60.00",
        ),
        (
            model(model="percentage", rate="1.5", fixed_fee="0.25"),
            "Calls made 1.5% of the amount + €0.25 12,345 185.43",
        ),
    ],
)
def test_tiers_stand_beneath_their_line(row: PriceRow, said: str) -> None:
    assert said in text_of(a_statement(used("Calls made", 12_345, row)))


def test_a_price_that_changed_says_what_was_used_at_which() -> None:
    before, after = (parse_price({"model": "per_unit", "unit_price": price}) for price in ("0.02", "0.025"))
    rows = (PriceRow(price=before, valid_to=MIDDLE), PriceRow(price=after, valid_from=MIDDLE))
    text = text_of(a_statement(used("POST /v1/route", 912, *rows)))
    assert "Oct 1 - 14, 2026: 456 x €0.02 = €9.12 Oct 15 - 31, 2026: 456 x €0.025 = €11.40 912 20.52" in text


@pytest.mark.parametrize(
    ("currency", "language", "price", "said"),
    [
        ("JPY", "en", "0.5", "12,345 ¥0.5 6,173 Total ¥6,173 Amount due ¥6,173"),
        ("KWD", "en", "0.0155", "12,345 KWD 0.0155 191.348 Total KWD 191.348 Amount due KWD 191.348"),
        ("EUR", "de", "0.0155", "12.345 0,0155 € 191,35 Gesamtbetrag 191,35 € Zu zahlen 191,35 €"),
        ("IQD", "en", "1", "12,345 IQD 1.000 12,345.000 Total IQD 12,345.000"),
        ("USD", "hi", "1", "12,345 $1.00 12,345.00 Total $12,345.00"),
    ],
)
def test_currencies(currency: str, language: str, price: str, said: str) -> None:
    statement = a_statement(
        used("GET /v1/geocode", 12_345, price=price, currency=currency), currency=currency, language=language
    )
    assert said in text_of(statement)


@pytest.mark.parametrize("language", ["ar", "he"])
def test_right_to_left(language: str) -> None:
    name = "شركة الخرائط (2026)" if language == "ar" else "חברת המפות בע״מ (2026)"
    statement = a_statement(
        used("GET /v1/geocode", 12_345), fixed("-5"), buyer=Party(name=name), taxes=(VAT,), language=language
    )
    page = a_paper(statement).html()
    assert f'<html lang="{language}" dir="rtl">' in page
    assert f"\u2068{name}\u2069" in page
    assert "\u200e-5.00" in page
    text = text_of(statement)
    assert "INV-000042" in text
    assert "GET /v1/geocode" in text
    assert "-5.00" in text


def test_words_that_we_do_not_have_are_english_and_said_to_be() -> None:
    statement = a_statement(fixed("-1234.5"), language="fa-IR")
    page = a_paper(statement).html()
    assert '<html lang="en-IR" dir="ltr">' in page
    assert "<h1>Invoice</h1>" in page
    assert "نوامبر" in page


def test_an_invoice_by_hand_is_of_no_period() -> None:
    statement = replace(a_statement((None, fixed("5"))), parts=())
    assert "Period" not in text_of(statement)


def test_the_fonts_are_there_with_their_licences() -> None:
    folder = files("tollkeeper.service.documents") / "fonts"
    names = {one.name for one in folder.iterdir()}
    assert {"Inter_400Regular.ttf", "NotoSansArabic_600SemiBold.ttf", "NotoSansJP_400Regular.ttf"} <= names
    notices = (folder / "THIRD-PARTY.txt").read_text(encoding="utf-8")
    for name in ("inter", "noto-sans-arabic", "noto-sans-hebrew", "noto-sans-jp"):
        assert re.search(rf"(?m)^@expo-google-fonts/{name} \d", notices)
    assert notices.count("SIL OPEN FONT LICENSE Version 1.1") == 4


def test_names_of_the_other_direction_keep_theirs() -> None:
    statement = a_statement(fixed("5", name="رسوم (2026)"), buyer=Party(name="חברת המפות"))
    page = a_paper(statement).html()
    assert 'dir="ltr"' in page
    assert "\u2068رسوم (2026)\u2069" in page
    assert "\u2068חברת המפות\u2069" in page
    assert "\u2068Acme" not in page


def test_japanese() -> None:
    statement = a_statement(
        fixed("4900", kind="base_fee", name="base_fee", currency="JPY"),
        currency="JPY",
        language="ja",
        buyer=Party(name="株式会社東京地図", address="東京都千代田区千代田1-1"),
    )
    text = text_of(statement)
    assert "請求先 株式会社東京地図" in text
    assert "基本料金 4,900" in text


def test_long_names_without_a_space_stay_on_the_page() -> None:
    statement = a_statement(
        used("/" + "verylongword" * 20, 99_999_999, price="0.000123456789"),
        seller=Party(name=LONG, address="x" * 200),
        buyer=Party(name=LONG, tax_id="9" * 80),
    )
    page = read(a_paper(statement).pdf()).pages[0]
    places: list[float] = []
    page.extract_text(visitor_text=lambda _text, user, matrix, _font, _size: places.append(user[4] + matrix[4]))
    assert max(places) < float(page.mediabox.width)
    assert LONG in page.extract_text().replace("\n", "")
    assert LONG in a_paper(statement).html()


def test_days_are_those_of_the_customers_zone() -> None:
    midnight = timedelta(hours=2)  # of Berlin in summer, in UTC the evening before
    part = a_part(start=START - midnight, end=END - timedelta(hours=1))
    statement = a_statement(fixed("5"), parts=(part,))
    values: Any = {"starts_at": part.start, "ends_at": part.end, "at": END - timedelta(minutes=30)}
    text = text_of(replace(statement, time_zone="Europe/Berlin"), **values)
    assert "Date of issue November 1, 2026 Period Oct 1 - 31, 2026" in text
    assert "Business Oct 1 - 31, 2026" in text
    assert "Period Sep 30 - Oct 31, 2026" in text_of(statement, **values)


def test_a_file_is_the_same_whenever_it_is_made_and_says_what_it_is() -> None:
    statement = a_statement(used("GET /v1/geocode", 12_345), language="de")
    made = a_paper(statement).pdf()
    assert made == a_paper(statement).pdf()
    found = read(made)
    root: Any = found.trailer["/Root"]
    assert found.metadata is not None
    assert found.metadata.title == "Rechnung INV-000042 · Acme Maps GmbH"
    assert found.metadata.creation_date == END + timedelta(days=3)
    assert root["/Lang"] == "de"
    assert root["/MarkInfo"]["/Marked"]
    assert b"pdfuaid" in made
    assert found.pages[0].mediabox.height == pytest.approx(841.89, abs=0.1)
    american = a_statement(fixed("5"), language="en-US")
    assert read(a_paper(american).pdf()).pages[0].mediabox.height == pytest.approx(792)


@pytest.mark.parametrize("fonts", ["fonts", "nowhere"])
def test_a_character_that_no_font_has_fails_no_document(monkeypatch: pytest.MonkeyPatch, fonts: str) -> None:
    monkeypatch.setattr(pdf, "FONTS", fonts)
    statement = a_statement(fixed("5"), buyer=Party(name="𐎠𒀀𓀀 Cuneiform \U000e0001 Ltd"))
    assert "Cuneiform" in text_of(statement)


def test_a_credit_note() -> None:
    statement = a_statement(used("GET /v1/geocode", 10_000), used("POST /v1/route", 5_000), fixed("20"), taxes=(VAT,))
    note = credit_invoice(statement.invoice, [], {0: Decimal(10), 2: Decimal(20)})
    issued = a_credit_note(note, END + timedelta(days=9), reason="The outage of 12 October")
    paper = Paper(invoice=an_invoice(statement), statement=statement, credit=Credit(issued, note))
    text = flat(read(paper.pdf()).pages[0].extract_text())
    for part in (
        "Number CN-000007 Date of issue November 10, 2026 For invoice INV-000042 of November 4, 2026",
        "Total credited €35.70",
        "GET /v1/geocode 10.00 Setup 20.00",
        "Net amount €30.00 VAT 19% on €30.00 €5.70 Total credited €35.70",
        "Reason: The outage of 12 October",
    ):
        assert part in text
    assert "POST /v1/route" not in text
    assert paper.pdf() == paper.pdf()
    assert "CN-000007" in paper.html()
    assert paper.filename == "CN-000007"
    reverse = TaxRate(name="VAT", percent=Decimal(21), reverse_charge=True)
    foreign = a_statement(fixed("20"), taxes=(reverse,))
    credit = Credit(replace(issued, reason=None), credit_invoice(foreign.invoice, [], {0: Decimal(20)}))
    other = Paper(invoice=an_invoice(foreign), statement=foreign, credit=credit)
    assert "VAT 21% on €20.00 (reverse charge) €0.00" in flat(re.sub("<[^>]+>", " ", other.html()))
    assert "Reason" not in other.html()


def test_a_draft_is_called_by_its_id() -> None:
    statement = a_statement(fixed("5"))
    assert Paper(invoice=an_invoice(statement, number=None), statement=statement).filename == "inv_1"
    named = Paper(invoice=an_invoice(statement, number='../"é"'), statement=statement)
    assert named.filename == "inv_1"


def test_a_missing_package_says_which_extra_brings_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"'nowhere'\. Run: pip install 'tollkeeper\[server\]'"):
        library.library("nowhere.at.all")
