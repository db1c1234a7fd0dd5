"""Whatever somebody is called: it stands on the document as text, and the document stays what it is."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from support.invoices import a_paper, a_part, a_statement, fixed, used
from tollkeeper.billing.party import Party
from tollkeeper.service.documents.texts import clean, clean_lines, fill, isolated

if TYPE_CHECKING:
    from tollkeeper.billing.statement import Statement

MARKUP = (
    '#panic("out")',
    '#read("/etc/passwd")',
    "*bold* _it_ `raw` $x^2$ @label <label> https://x.example",
    '"] #eval("1") [',
    "= Heading",
    "\\u{41} \\#",
    "<script>alert(1)</script>\"' onload=x </style><style>*{display:none}</style>",
    "{{ 7 * 7 }} {% raw %} {name} {pages}",
    "</title><meta http-equiv=refresh content=0>",
)


class Shape(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def named(name: str) -> Statement:
    """A statement on which everything that others name has this name."""
    party = Party(name=name, address=name, email=name, tax_id=name)
    charges = (used(name, 10), fixed("-1", kind="discount", name=name))
    return a_statement(*charges, parts=[a_part(plan=name, subscription="sub_1")], seller=party, buyer=party)


def shape(name: str) -> Shape:
    statement = named(name)
    return Shape(a_paper(statement).html())


def lines_of(name: str) -> int:
    return len(clean_lines(name))


BENIGN = shape("Acme").tags


@given(st.text(min_size=1, max_size=200).filter(lambda name: lines_of(name) == 1))
@example(MARKUP[6])
@example("\u202eevil\u2067\ufeff")
@settings(max_examples=30, deadline=None)
def test_no_name_breaks_out_of_html(name: str) -> None:
    found = shape(name)
    assert found.tags == BENIGN
    assert clean(name) in " ".join(found.text)


@pytest.mark.parametrize("name", MARKUP)
def test_markup_is_text(name: str) -> None:
    assert shape(name).tags == BENIGN
    statement = named(name)
    pages = PdfReader(io.BytesIO(a_paper(statement).pdf())).pages
    text = "".join(page.extract_text() for page in pages).replace("\n", "").replace(" ", "")
    assert text.count(name.replace(" ", "")) >= 5


@given(st.text(max_size=60))
@example("\x00\x1b[31m\u2028\u2029")
@example("é" + "\u0301" * 59)
@example("﷽" * 60)
@settings(max_examples=12, deadline=None)
def test_no_name_fails_a_pdf(name: str) -> None:
    statement = named(name)
    assert a_paper(statement).pdf().startswith(b"%PDF-")


def test_texts_are_cut_and_cleaned() -> None:
    assert clean("a\tb\x00c \u202ed") == "a b c d"
    assert clean("x" * 2_000) == "x" * 999 + "…"
    assert clean_lines(None) == ()
    assert clean_lines("one\n \ntwo\r\nthree") == ("one", "two", "three")
    assert len(clean_lines("x\n" * 100)) == 12


def test_texts_keep_their_direction() -> None:
    assert isolated("Acme", rtl=False) == "Acme"
    assert isolated("Acme", rtl=True) == "\u2068Acme\u2069"
    assert isolated("א", rtl=False) == "\u2068א\u2069"
    assert fill("{name} ({date})", rtl=False, name="{date}", date="x") == "{date} (x)"
