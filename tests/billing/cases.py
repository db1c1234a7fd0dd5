"""Random cases for the oracle and the engine: prices, dates, plans, coupons, taxes and wallets in every combination."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cases", "rated"]

Case = dict[str, Any]
START = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 31
END = START + timedelta(days=DAYS)
FOREVER = {"valid_from": datetime(1970, 1, 1, tzinfo=UTC), "valid_to": datetime(9999, 1, 1, tzinfo=UTC)}
CURRENCIES = {"EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4}


def decimals(greatest: int, places: int) -> st.SearchStrategy[str]:
    """Decimal texts from 0 to ``greatest``, of up to so many places; small and round ones often."""
    return st.one_of(
        st.integers(0, greatest * 10**places).map(lambda number: f"{number / 10**places:.{places}f}"),
        st.integers(0, min(greatest, 10)).map(str),
    )


quarters = st.one_of(st.integers(1, 12), st.integers(1, 80))
edges = st.lists(quarters.map(lambda number: number / 4), max_size=3, unique=True).map(sorted)


@st.composite
def tiers(draw: Callable[..., Any], each: str) -> list[Case]:
    found = [{"up_to": str(edge)} for edge in draw(edges)] + [{}]
    for tier in found:
        tier[each] = draw(decimals(3, 4))
        tier["flat_fee"] = draw(st.one_of(st.just("0"), decimals(5, 3)))
    return found


@st.composite
def percentages(draw: Callable[..., Any]) -> Case:
    price = {"model": "percentage", "rate": draw(decimals(20, 2)), "fixed_fee": draw(decimals(1, 3))}
    if draw(st.booleans()):
        price["free_events"] = draw(st.integers(0, 6))
    if draw(st.booleans()):
        price["free_amount"] = draw(st.sampled_from(["0", "0.5", "1", "2.5", "12.5"]))
    low, high = sorted([draw(st.integers(0, 200)), draw(st.integers(0, 200))])
    if draw(st.booleans()):
        price["minimum"] = str(low / 100)
    if draw(st.booleans()):
        price["maximum"] = str(high / 100)
    return price


models = st.one_of(
    st.fixed_dictionaries({"model": st.just("per_unit"), "unit_price": decimals(2, 6)}),
    st.fixed_dictionaries({"model": st.just("graduated"), "tiers": tiers("unit_price")}),
    st.fixed_dictionaries({"model": st.just("volume"), "tiers": tiers("unit_price")}),
    st.fixed_dictionaries({"model": st.just("graduated_percentage"), "tiers": tiers("rate")}),
    st.fixed_dictionaries(
        {"model": st.just("included"), "included_units": decimals(20, 1), "unit_price": decimals(2, 6)}
    ),
    st.fixed_dictionaries(
        {
            "model": st.just("package"),
            "size": st.sampled_from(["1", "2.5", "3", "7", "100"]),
            "package_price": decimals(9, 3),
            "free_units": decimals(8, 1),
        }
    ),
    percentages(),
)
moments = st.integers(0, DAYS * 24).map(lambda hours: START + timedelta(hours=hours))


@st.composite
def dated_rows(draw: Callable[..., Any], prices: st.SearchStrategy[Case]) -> list[Case]:
    """Up to three rows one after another, sometimes with a time in which none is in force."""
    bounds = sorted(draw(st.lists(moments, max_size=2, unique=True)))
    starts, ends = [FOREVER["valid_from"], *bounds], [*bounds, FOREVER["valid_to"]]
    found = [
        {"valid_from": start, "valid_to": end, "price": draw(prices)} for start, end in zip(starts, ends, strict=True)
    ]
    gap = draw(st.sampled_from([False, False, False, True]))
    return found[1:] if gap and len(found) > 1 else found


def in_order(found: list[Case]) -> list[Case]:
    return sorted(found, key=lambda event: event["at"])


one_event = st.fixed_dictionaries(
    {
        "at": st.integers(0, DAYS * 24 * 4 - 1).map(lambda quarters: START + timedelta(minutes=15 * quarters)),
        "tokens": st.one_of(st.integers(1, 9).map(str), decimals(6, 6), st.integers(0, 3).map(str), st.none()),
        "model": st.sampled_from(["large", "small", None]),
        "user": st.sampled_from(["ann", "bob", "eve", None]),
        "status": st.sampled_from([200, 200, 201, 404, 500]),
    }
)
# A list draws its own size small: so the size is drawn first.
sizes = st.sampled_from([0, 1, 2, 4, 6, 9, 14])
events = sizes.flatmap(lambda size: st.lists(one_event, min_size=size, max_size=size)).map(in_order)
filters = st.lists(
    st.one_of(
        st.just({"field": "model", "one_of": ["large"]}),
        st.just({"field": "user", "none_of": ["eve"]}),
        st.just({"field": "status", "at_least": "201"}),
    ),
    max_size=1,
)


@st.composite
def meters(draw: Callable[..., Any]) -> Case:
    aggregation = draw(st.sampled_from(["count", "sum", "max", "unique", "latest", "percentile"]))
    meter: Case = {"aggregation": aggregation, "filters": draw(filters)}
    if aggregation != "count":
        meter["field"] = "user" if aggregation == "unique" else "tokens"
    if aggregation == "percentile":
        meter["percentile"] = draw(st.sampled_from(["50", "95", "99.9", "100"]))
    meter["group_by"] = draw(st.sampled_from([[], [], ["model"]]))
    return meter


@st.composite
def prices(draw: Callable[..., Any], name: str, digits: int, taxes: str) -> Case:
    pay_as_you_go = draw(st.booleans())
    price: Case = {"name": name, "pay_as_you_go": pay_as_you_go, "events": draw(events)}
    if draw(st.booleans()):
        price["taxes"] = [tax for tax in taxes if draw(st.booleans())]
    if pay_as_you_go:
        price["meter"] = draw(st.sampled_from([{"aggregation": "count"}, {"aggregation": "sum", "field": "tokens"}]))
        simple = st.fixed_dictionaries({"model": st.just("per_unit"), "unit_price": decimals(2, 6)})
        price["rows"] = draw(dated_rows(simple))
    else:
        price["meter"] = draw(meters())
        price["rows"] = draw(dated_rows(models))
    if draw(st.sampled_from([False, False, True])):
        price["maximum"] = draw(decimals(20, digits))
    return price


@st.composite
def plans(draw: Callable[..., Any]) -> Case:
    kind = draw(
        st.sampled_from(["pay_as_you_go", "discount_amount", "discount_percent", "prepaid_volume", "prepaid_value"])
    )
    if kind == "pay_as_you_go":
        return {"kind": kind}
    if kind == "prepaid_volume":
        return {"kind": kind, "amount": str(draw(st.integers(0, 20)))}
    return {"kind": kind, "amount": draw(decimals(30, 2))}


@st.composite
def wallets(draw: Callable[..., Any]) -> list[Case]:
    expiries = st.sampled_from([None, END - timedelta(days=1), END, END + timedelta(days=1), END + timedelta(days=9)])
    return [
        {
            "id": name,
            "minor": draw(st.integers(0, 3000)),
            "priority": draw(st.integers(0, 1)),
            "expires_at": draw(expiries),
            "granted": draw(st.booleans()),
        }
        for name in "abc"[: draw(st.integers(0, 3))]
    ]


coupons = st.lists(
    st.one_of(
        st.fixed_dictionaries({"percent": decimals(100, 1)}),
        st.fixed_dictionaries({"minor": st.integers(0, 4000)}),
    ),
    max_size=3,
)


@st.composite
def cases(draw: Callable[..., Any]) -> Case:
    currency = draw(st.sampled_from(sorted(CURRENCIES)))
    digits = CURRENCIES[currency]
    first, last = sorted([draw(moments), draw(moments)])
    taxes = "xy"[: draw(st.integers(0, 2))]
    return {
        "currency": currency,
        "digits": digits,
        "zone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"])),
        "period": (START, END),
        "part": draw(st.sampled_from([(START, END), (START, END), (first, last)])),
        "at": END,
        "plan": draw(plans()),
        "card": {
            "fee": draw(st.one_of(st.just("0"), decimals(50, 3))),
            "minimum": draw(st.one_of(st.just("0"), decimals(60, 3))),
            "prorated": draw(st.booleans()),
            "prorate_by": draw(st.sampled_from(["second", "day"])),
        },
        "prices": [
            draw(prices(f"price {number}", digits, taxes)) for number in range(draw(st.sampled_from([0, 1, 2, 2, 3])))
        ],
        "one_off": draw(st.lists(st.integers(-3000, 2000), max_size=2)),
        "coupons": draw(coupons),
        "taxes": [
            {
                "name": name,
                "percent": draw(decimals(30, 3)),
                "reverse_charge": draw(st.sampled_from([False] * 3 + [True])),
            }
            for name in taxes
        ],
        "tax_inclusive": draw(st.booleans()),
        "wallets": draw(wallets()),
    }


@st.composite
def rated(draw: Callable[..., Any]) -> Case:
    """The rows of one price, and quantities over time in quarters of a unit, so that edges of tiers are met often."""
    amounts = st.one_of(st.just(0), quarters).map(lambda number: number / 4)
    used = draw(st.lists(st.tuples(moments.filter(lambda moment: moment < END), amounts), max_size=8))
    return {"rows": draw(dated_rows(models)), "used": sorted(used)}
