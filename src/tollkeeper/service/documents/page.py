"""What stands on a document, in order, as plain texts: HTML and PDF show the same."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Group", "Page", "Row", "Side", "Sum"]


class Row(Struct, frozen=True, kw_only=True):
    """A line; ``details`` are the smaller ones beneath its name."""

    name: str
    details: tuple[str, ...] = ()
    quantity: str = ""
    price: str = ""
    amount: str


class Group(Struct, frozen=True, kw_only=True):
    """Lines of one period of a subscription, or those of none."""

    title: str
    period: str = ""
    rows: tuple[Row, ...]


class Sum(Struct, frozen=True, kw_only=True):
    """A sum behind the lines; a ``strong`` one has a rule above it."""

    label: str
    amount: str
    strong: bool = False


class Side(Struct, frozen=True, kw_only=True):
    """The seller or the buyer."""

    label: str
    name: str
    lines: tuple[str, ...] = ()


class Page(Struct, frozen=True, kw_only=True):
    """One document. ``mark`` is written across a draft or a void one, ``stamp`` beside the heading.

    ``has_quantities`` is false when no line has one, so that there is no column for it. ``page_label`` has {page} and
    {pages} in it.
    """

    language: str
    region: str
    rtl: bool
    paper: str
    title: str
    heading: str
    stamp: str
    mark: str
    facts: tuple[tuple[str, str], ...]
    headline: tuple[str, str, str]
    seller: Side
    buyer: Side
    columns: tuple[str, str, str, str]
    has_quantities: bool
    groups: tuple[Group, ...]
    sums: tuple[Sum, ...]
    notes: tuple[str, ...]
    page_label: str
    foot: str
