from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from billing.accounts import END, Numbered, account, call, charge_month, per_unit, plan
from billing.stating import state_invoice
from tollkeeper.billing.invoice import InvoiceTerms
from tollkeeper.billing.packing import pack, unpack
from tollkeeper.billing.party import Party
from tollkeeper.billing.recomputing import charge_filter, recompute
from tollkeeper.billing.statement import Statement
from tollkeeper.events.event import Consumer
from tollkeeper.metering.meter import Meter

TOKENS = msgspec.convert(
    {
        "name": "tokens",
        "aggregation": "sum",
        "field": "variables.tokens",
        "filters": [{"field": "method", "one_of": ["GET"]}],
    },
    Meter,
)
BODY = {
    "fee": "31",
    "prices": [
        {"name": "seat", "rows": [{"price": {"model": "flat_fee", "fee": "3.10"}}]},
        {"name": "tokens", "meter": "tokens", "rows": [{"price": {"model": "per_unit", "unit_price": "1"}}]},
    ],
}
ABOUT = account(
    plan(body=BODY),
    plan("prepaid", kind="prepaid_volume", amount="3"),
    changes=[(10, "prepaid")],
    prices=[(0, "0.01", "EUR", 2), (1, "0.02", "EUR", None)],
    meters={"tokens": TOKENS},
    own_prices={"sub": {"rte_1": (per_unit("7", 20),)}},
)
EVENTS = [
    Numbered(seq, call(day, route, '{"tokens": 2}', consumer=Consumer(key), method=method))
    for seq, (day, route, key, method) in enumerate(
        [
            (1, "/orders", "k", "GET"),
            (3, "/orders", "l", "GET"),
            (3, "/search", "k", "POST"),
            (4, "/x", "k", "GET"),
            (12, "/search", "k", "GET"),
            (13, "/orders", "k", "GET"),
            (21, "/search", "l", "GET"),
            (22, "/orders", "stranger", "GET"),
            (23, "/search", "k", "GET"),
            (35, "/search", "k", "GET"),
        ],
        1,
    )
]


def stated(events: list[Numbered] = EVENTS, **values: Any) -> Statement:
    charged = charge_month(ABOUT, *(one.event for one in events), until=values.pop("until", 10))
    parties = Party(name="We"), Party(name="Acme")
    found = state_invoice(charged, values.pop("items", []), InvoiceTerms(currency="EUR", at=END), *parties)
    assert found is not None
    return found


def changed(place: int, **values: Any) -> list[Numbered]:
    events = list(EVENTS)
    events[place] = Numbered(events[place].seq, replace(events[place].event, **values))
    return events


def test_an_invoice_is_worked_out_again_from_what_it_says_and_the_events() -> None:
    found = stated()
    kept = unpack(pack(found), Statement)
    assert recompute(kept, EVENTS) == kept == found
    amounts = [(line.kind, line.name, str(line.amount)) for line in found.invoice.lines]
    assert amounts == [
        ("base_fee", "base_fee", "10.00"),
        ("fee", "seat", "1.00"),
        ("usage", "/search", "0.02"),
        ("usage", "GET /orders", "0.01"),
        ("usage", "tokens", "6.00"),
        ("usage", "/search", "13.77"),
    ]


@pytest.mark.parametrize(
    ("events", "total"),
    [
        (EVENTS[1:], "28.80"),
        (EVENTS[:-3], "23.80"),
        (changed(1, units=Decimal(3)), "30.82"),
        (changed(8, consumer=Consumer("m")), "23.80"),
        (changed(3, variables=msgspec.Raw(b"{}")), "28.80"),
        (changed(0, route="/elsewhere"), "28.80"),
    ],
)
def test_events_that_are_others_give_another_invoice(events: list[Numbered], total: str) -> None:
    found = recompute(stated(), events)
    assert (found != stated(), str(found.invoice.total)) == (True, total)


def test_what_came_after_the_invoice_is_not_in_it() -> None:
    on_time = EVENTS[:5]
    found = stated(on_time, until=5)
    assert recompute(found, EVENTS) == found
    mixed = replace(found, parts=(replace(found.parts[0], until=4), found.parts[1]))
    assert recompute(mixed, EVENTS) == mixed


def test_one_off_lines_stay() -> None:
    (item,) = [one.charge for one in stated().charges if one.charge.name == "seat"]
    found = stated(items=[replace(item, kind="one_off")])
    assert recompute(found, EVENTS) == found
    assert recompute(found, []) != found


def charged_by(price: str | None, part: int = 0, events: list[Numbered] = EVENTS) -> list[int]:
    charges = charge_filter(stated().parts[part], price)
    return [one.seq for one in events if charges(one.seq, one.event)]


def test_a_line_charges_the_events_of_its_price() -> None:
    assert charged_by("rte_0") == [2]  # the first was before the price
    assert charged_by("rte_1") == [3]
    assert charged_by("tokens") == [1, 2, 4]  # a POST does not pass the filter
    assert charged_by("rte_1", 1) == [5, 7, 9]
    for price in ("seat", "base_fee", None, "rte_2"):
        assert charged_by(price) == []


def test_a_line_charges_nothing_else() -> None:
    def one(seq: int = 2, day: float = 3, **values: Any) -> list[Numbered]:
        return [Numbered(seq, call(day, **values))]

    assert charged_by("rte_0", events=one()) == [2]
    assert charged_by("rte_0", events=one(seq=11)) == []
    assert charged_by("rte_0", events=one(consumer=None)) == []
    assert charged_by("rte_0", events=one(consumer=Consumer("m"))) == []
    assert charged_by("rte_0", events=one(day=10)) == []
    assert charged_by("rte_0", events=one(api="other")) == []
    assert charged_by("tokens", events=one(variables='{"tokens": "many"}')) == []


def test_what_has_no_json_is_not_packed() -> None:
    strange = replace(plan(), body={"fee": object()})
    with pytest.raises(NotImplementedError, match="object has no JSON"):
        pack(strange)
    with pytest.raises(NotImplementedError, match="Opaque has no JSON"):
        unpack(pack(plan()), Odd)


class Opaque:
    """What JSON can't say."""


class Odd(msgspec.Struct):
    """A record of it."""

    name: Opaque
