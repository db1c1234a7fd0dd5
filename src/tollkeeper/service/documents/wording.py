"""The words of documents, by language: those of ``languages/``, and English where there are none."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import msgspec
from msgspec import Struct

__all__ = ["Words", "words_for"]

FALLBACK = "en"


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """All that a document says by itself; in braces stands what ``texts.fill`` puts in."""

    language: str
    invoice: str
    draft_invoice: str
    credit_note: str
    draft: str
    void: str
    paid: str
    number: str
    issued: str
    due_date: str
    period: str
    seller: str
    buyer: str
    tax_id: str
    reason: str
    of_invoice: str
    of_date: str
    description: str
    quantity: str
    unit_price: str
    amount: str
    subtotal: str
    discount: str
    net: str
    tax: str
    reverse_charge: str
    total: str
    credit_used: str
    credit_left: str
    amount_due: str
    kept: str
    paid_on: str
    credited: str
    given_back: str
    base_fee: str
    minimum: str
    plan_discount: str
    prepaid: str
    maximum: str
    one_off: str
    late: str
    subscription: str
    counted_count: str
    counted_sum: str
    counted_max: str
    counted_unique: str
    counted_latest: str
    counted_percentile: str
    tier_first: str
    tier_between: str
    tier_over: str
    fixed: str
    free: str
    package: str
    of_amount: str
    without_price: str
    taxes: str
    untaxed: str
    reverse_charge_note: str
    inclusive_note: str
    draft_note: str
    void_note: str
    calls_note: str
    coupon_left: str
    page: str
    letter_greeting: str
    letter_invoice: str
    letter_credit_note: str
    letter_due: str
    letter_nothing_due: str
    letter_close: str


def words_for(language: str) -> Words:
    """The words of a language by its code, as de; the English ones for those of which there are none."""
    folder = files("tollkeeper.service.documents") / "languages"
    known = {one.name.removesuffix(".toml"): one for one in folder.iterdir()}
    return msgspec.convert(tomllib.loads(known.get(language, known[FALLBACK]).read_text(encoding="utf-8")), Words)
