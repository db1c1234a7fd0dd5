"""Random catalogues and calls for the oracle of months: subscriptions that change in all ways, and what came late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from billing import cases as one_period
from billing.cases import CURRENCIES, FOREVER, coupons, decimals, meters, models, wallets
from billing.month_oracle import periods

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["months"]

Case = dict[str, Any]
BEGIN = datetime(2026, 9, 1, tzinfo=UTC)
DAYS = 121
FIRSTS = (2026, 10, 1), (2026, 11, 1), (2026, 12, 1), (2027, 1, 1)
hours = st.integers(0, DAYS * 24).map(lambda number: BEGIN + timedelta(hours=number))
seldom = st.sampled_from([True, False, False])


@st.composite
def rows(draw: Callable[..., Any], prices: st.SearchStrategy[Case]) -> list[Case]:
    """One or two rows one after the other, or one that is in force for a while."""
    first = draw(hours)
    last = first + timedelta(hours=draw(st.integers(1, 900)))
    shape = draw(st.sampled_from(["ever", "ever", "two", "while"]))
    if shape == "ever":
        return [{**FOREVER, "price": draw(prices)}]
    if shape == "while":
        return [{"valid_from": first, "valid_to": last, "price": draw(prices)}]
    return [
        {**FOREVER, "valid_to": first, "price": draw(prices)},
        {**FOREVER, "valid_from": first, "price": draw(prices)},
    ]


flat_fees = st.fixed_dictionaries({"model": st.just("flat_fee"), "fee": decimals(40, 3), "prorated": st.booleans()})


@st.composite
def plan_prices(draw: Callable[..., Any], name: str, digits: int, taxes: str) -> Case:
    price: Case = {"name": name}
    if draw(st.booleans()):
        price["taxes"] = [tax for tax in taxes if draw(st.booleans())]
    if draw(seldom):
        return price | {"rows": draw(rows(flat_fees))}
    if draw(seldom):
        price["maximum"] = draw(decimals(20, digits))
    return price | {"meter": draw(meters()), "rows": draw(rows(models))}


@st.composite
def plans(draw: Callable[..., Any], name: str, currency: str, taxes: str) -> Case:
    digits = CURRENCIES[currency]
    plan: Case = draw(one_period.plans())
    with_money = plan["kind"] in {"discount_amount", "prepaid_value"} or draw(st.booleans())
    money = st.one_of(st.just("0"), decimals(50, 3)) if with_money else st.just("0")
    return plan | {
        "period": draw(st.sampled_from(["month", "month", "month", "month", "week", "day", "year"])),
        "currency": currency if with_money else None,
        "card": {
            "fee": draw(money),
            "minimum": draw(money),
            "prorated": draw(st.sampled_from([True, True, True, False])),
            "prorate_by": draw(st.sampled_from(["second", "day"])),
        },
        "prices": [
            draw(plan_prices(f"{name} {number}", digits, taxes))
            for number in range(draw(st.sampled_from([0, 0, 1, 2])) if with_money else 0)
        ],
    }


@st.composite
def routes(draw: Callable[..., Any], currency: str) -> list[Case]:
    found = []
    for api, endpoint, method in (
        ("shop", "/a", "GET"),
        ("shop", "/a", None),
        ("shop", None, None),
        ("maps", None, "GET"),
    ):
        since = draw(st.sampled_from([[FOREVER["valid_from"]]] * 3 + [[]]))
        starts = since + draw(st.lists(hours, max_size=2, unique=True))
        found.append(
            {
                "id": f"{api} {endpoint} {method}",
                "api": api,
                "endpoint": endpoint,
                "method": method,
                "currency": draw(st.sampled_from([currency] * 5 + ["USD"])),
                "prices": [{"from": start, "price": draw(decimals(2, 6))} for start in starts],
            }
        )
    return [route for route in found if draw(st.sampled_from([True] * 5 + [False]))]


@st.composite
def subscriptions(draw: Callable[..., Any], case: Case, name: str, api: str | None) -> Case:
    started = BEGIN + timedelta(hours=draw(st.one_of(st.integers(0, 24 * 20), st.integers(0, 24 * 60))))
    trial = timedelta(days=draw(st.sampled_from([0, 0, 0, 3, 20])))
    names = sorted(case["plans"])
    sub: Case = {
        "id": name,
        "api": api,
        "started": started,
        "anchor": started + trial,
        "ended": started + timedelta(hours=draw(st.integers(0, 1200))) if draw(seldom) else None,
        "changes": [(started, draw(st.sampled_from(names)))],
        "pauses": [],
        "own": {},
    }
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        last = sub["changes"][-1][0]
        begins = [begin for _, _, begin, _ in periods(case, sub, last + timedelta(days=40)) if begin > last]
        at_once = last + timedelta(hours=draw(st.integers(1, 500)))
        at = begins[0] if begins and draw(st.booleans()) else at_once
        sub["changes"].append((at, draw(st.sampled_from(names))))
    if draw(seldom):
        paused = started + timedelta(hours=draw(st.integers(0, 800)))
        sub["pauses"].append(
            (paused, draw(st.sampled_from([None, paused + timedelta(hours=draw(st.integers(1, 400)))])))
        )
    for route in case["routes"]:
        if draw(st.sampled_from([True, False, False, False])):
            sub["own"][route["id"]] = draw(rows(models))
    for price in (price for plan in case["plans"].values() for price in plan["prices"]):
        if draw(st.sampled_from([True, False, False, False])):
            sub["own"][price["name"]] = draw(rows(models if "meter" in price else flat_fees))
    return sub


def calls_of(size: int, seed: int) -> list[Case]:
    """Calls by a generator of their own: to draw each part of each would take more time than all the rest."""
    random = Random(seed)
    return [
        {
            "at": BEGIN + timedelta(minutes=30 * random.randrange(10 * 48, DAYS * 48)),
            "key": random.choice(["key 1"] * 6 + ["key 2", "stranger"]),
            "api": random.choice(["shop"] * 6 + ["maps", "maps", "unknown"]),
            "version": random.choice(["v1"] * 6 + [None, "v9"]),
            "endpoint": random.choice(["/a", "/a", "/b"]),
            "method": random.choice(["GET", "GET", "POST"]),
            "units": str(random.choice([1, 1, random.randrange(41) / 4])),
            "tokens": random.choice([str(random.randrange(10)), None]),
            "model": random.choice(["large", "small", None]),
            "user": random.choice(["ann", "bob", "eve", None]),
            "status": random.choice([200, 200, 404]),
            "known": random.choice([0, 0, 0, 1, 2]),
        }
        for _ in range(size)
    ]


calls = st.builds(calls_of, st.sampled_from([1, 5, 16, 25, 40, 60]), st.integers(0, 2**32))


@st.composite
def months(draw: Callable[..., Any]) -> Case:
    """A customer with a catalogue, and calls of months, some of which came when their month was billed already."""
    invoiced = draw(st.sampled_from(sorted(CURRENCIES)))
    taxes = "xy"[: draw(st.integers(0, 2))]
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"]))
    edges = [datetime(*first, tzinfo=ZoneInfo(zone)).astimezone(UTC) for first in FIRSTS]
    case: Case = {
        "zone": zone,
        "invoiced": invoiced,
        "digits": CURRENCIES[invoiced],
        "currency": draw(st.sampled_from([invoiced, None])),
        "keys": ["key 1", "key 2"],
        "months": list(pairwise(edges)),
        "at": edges[-1],
        "routes": draw(routes(invoiced)),
        "plans": {name: draw(plans(name, invoiced, taxes)) for name in "pqr"[: draw(st.integers(1, 3))]},
    }
    # As they were stored: first those that the first invoice knows of, then those that came behind it.
    found = sorted(draw(calls), key=lambda call: call["known"])
    return case | {
        "subscriptions": [
            draw(subscriptions(case, f"sub {number}", api))
            for number, api in enumerate([None, "maps"][: draw(st.integers(1, 2))])
        ],
        "events": [dict(call, seq=seq) for seq, call in enumerate(found, 1)],
        "one_off": draw(st.lists(st.integers(1, 3000).map(lambda minor: 1000 - minor or 1), max_size=1)),
        "coupons": draw(coupons),
        "taxes": [{"name": name, "percent": draw(decimals(30, 3)), "reverse_charge": draw(seldom)} for name in taxes],
        "tax_inclusive": draw(st.booleans()),
        "wallets": draw(wallets()),
    }
