from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from billing.accounts import DAY, END, START, account, at, call, charge_month, lines, per_unit, plan
from billing.stating import state_invoice
from tollkeeper.billing.charge import Charge
from tollkeeper.billing.charging import billing_parts, needs_details
from tollkeeper.billing.invoice import InvoiceTerms
from tollkeeper.billing.party import Party
from tollkeeper.billing.price_list import PriceList
from tollkeeper.billing.price_rows import PriceRow
from tollkeeper.billing.product import Api
from tollkeeper.billing.resolve import Resolution, Resolver
from tollkeeper.billing.subscription import Subscription, SubscriptionPause
from tollkeeper.errors import UnprocessableError
from tollkeeper.events.event import Consumer
from tollkeeper.metering.meter import Meter

if TYPE_CHECKING:
    from tollkeeper.billing.charging import Charged
    from tollkeeper.billing.statement import ChargedPart

UNIT = {"model": "per_unit", "unit_price": "1"}


def meter(**definition: Any) -> Meter:
    return msgspec.convert({"name": "meter"} | definition, Meter)


def metered(*names: str, price: Any = UNIT, **values: Any) -> Any:
    """A plan with a price of the meter of each name."""
    prices = [{"name": name, "meter": name, "rows": [{"price": price}]} | values for name in names]
    return plan(body={"prices": prices})


def test_calls_are_charged_by_route() -> None:
    charged = charge_month(
        account(),
        call(1),
        call(2, units=Decimal("2.5"), consumer=Consumer("l")),
        call(3, "/search", method="POST"),
        call(4, "/nothing"),
        call(5, consumer=Consumer("stranger")),
        call(5, consumer=None),
        call(40),
        call(-1),
    )
    assert lines(charged) == [("usage", "/search", "0.02"), ("usage", "GET /orders", "0.04")]
    assert [one.charge.quantity for one in charged.charges] == [1_000_000, 3_500_000]
    (part,) = charged.parts
    assert (part.keys, part.until, part.currency, charged.problems) == (("k", "l"), 100, "EUR", ())
    assert [price.price for price in part.prices] == ["rte_1", "rte_0"]
    assert {(one.endpoint, one.route) for one in part.calls} == {
        ("/orders", "rte_0"),
        ("/search", "rte_1"),
        ("/nothing", "rte_2"),
    }
    assert charged.currency_of(part) == "EUR"


def test_a_name_says_the_api_and_the_version_where_there_are_several() -> None:
    charged = charge_month(account(versions=2, prices=[(2, "1", "EUR", None)]), call(1, "/x", api_version="v1"))
    assert lines(charged) == [("usage", "shop v1 other routes", "1.00")]


def test_a_call_has_the_price_of_its_time_and_none_before_the_first() -> None:
    dated = account(prices=[(0, "1", "EUR", 10), (0, "3", "EUR", 20)])
    charged = charge_month(dated, call(9), call(10), call(19), call(20), call(30))
    assert lines(charged) == [("usage", "GET /orders", "8.00")]
    (charge,) = [one.charge for one in charged.charges]
    assert [(part.quantity, int(part.cost)) for part in charge.parts] == [(2_000_000, 2), (2_000_000, 6)]
    assert charge.unpriced == 1_000_000
    (called,) = charged.parts[0].calls
    assert (called.start, called.end) == (START, END)


def test_a_route_that_was_called_before_it_had_a_price_is_in_no_price() -> None:
    charged = charge_month(account(prices=[(0, "1", "EUR", 10)]), call(9))
    assert (charged.charges, charged.parts[0].prices) == ((), ())


def test_events_need_not_name_what_there_is_one_of() -> None:
    assert lines(charge_month(account(), call(1, api=None), call(2, api=""))) == [("usage", "GET /orders", "0.02")]


def test_calls_in_a_pause_are_owed_also_those_that_name_no_api() -> None:
    about = account(plan(body={"fee": "31"}), pauses=[(5, 12)])
    charged = charge_month(about, call(2, api=None), call(7, api=None), call(8))
    assert lines(charged) == [("base_fee", "base_fee", "24.00"), ("usage", "GET /orders", "0.03")]
    assert [one.end for one in charged.parts[0].calls] == [END, END]


def test_what_a_name_means_changes_with_what_is_subscribed_to() -> None:
    about = account(versions=2)
    maps = Api(id="maps", name="maps", created_at=START)
    second = Subscription(
        id="sub_2", customer="cus", api="api", version="ver_2", started_at=at(10), anchor=at(10), created_at=START
    )
    facts = replace(
        about.facts,
        apis=[*about.facts.apis, maps],
        subscriptions=[*about.facts.subscriptions, second],
        pauses=[SubscriptionPause(id="pau", subscription="sub", paused_at=at(10))],
    )
    # Either of two APIs may be meant, until the subscription to both is paused, and one of them is served still.
    charged = charge_month(replace(about, facts=facts), call(5, api=None), call(15, api=None))
    called = [(one.route, one.start, one.end) for one in charged.parts[0].calls]
    assert called == [(None, START, at(10)), ("rte_0", at(10), END)]


def test_each_part_has_the_calls_of_its_time() -> None:
    plans = [plan(body={"fee": "31"}), plan("free", kind="discount_percent", amount="50")]
    charged = charge_month(account(*plans, changes=[(10, "free")]), *[call(day, "/search") for day in range(31)])
    assert lines(charged) == [
        ("base_fee", "base_fee", "10.00"),
        ("usage", "/search", "0.20"),
        ("usage", "/search", "0.42"),
        ("discount", "/search", "-0.21"),
    ]
    assert [one.part for one in charged.charges] == [0, 0, 1, 1]


def test_events_may_come_back_to_a_part() -> None:
    plans = account(plan(), plan("free"), changes=[(10, "free")])
    charged = charge_month(plans, call(5), call(15), call(6))
    assert [one.charge.quantity for one in charged.charges] == [2_000_000, 1_000_000]


def test_own_prices_take_the_place_of_those_listed() -> None:
    own = {"sub": {"rte_0": (per_unit("5", 10, 20),), "rte_2": (per_unit("7", 10),)}}
    about = account(own_prices=own)
    charged = charge_month(about, call(5), call(15), call(25), call(5, "/x"), call(15, "/x"))
    assert lines(charged) == [("usage", "GET /orders", "5.02"), ("usage", "other routes", "7.00")]


def test_an_own_price_does_not_make_a_fee_of_usage_or_usage_of_a_fee() -> None:
    counted = {"name": "seat", "meter": "calls", "rows": [{"price": {"model": "per_unit", "unit_price": "2"}}]}
    fee: dict[str, Any] = {"name": "seat", "rows": [{"price": {"model": "flat_fee", "fee": "9"}}]}
    meters = {"calls": Meter(name="calls", aggregation="count")}
    fee_row = msgspec.convert({"price": fee["rows"][0]["price"]}, PriceRow)
    for price, own, line in (
        (fee, per_unit("5"), ("fee", "seat", "9.00")),
        (counted, fee_row, ("usage", "seat", "2.00")),
    ):
        about = account(plan(body={"prices": [price]}), meters=meters, own_prices={"sub": {"seat": (own,)}})
        found = charge_month(about, call(1, "/free"))
        assert lines(found) == [line]
        (problem,) = found.problems
        assert "'seat' of the subscription sub's own" in problem


def test_an_own_percentage_is_of_each_call() -> None:
    price = {"model": "percentage", "rate": "10", "fixed_fee": "1", "free_events": 1}
    row = msgspec.convert({"price": price}, PriceRow)
    about = account(own_prices={"sub": {"rte_0": (row,)}})
    calls = [call(day, units=Decimal(units)) for day, units in ((1, 100), (2, 10), (3, 20))]
    assert lines(charge_month(about, *calls)) == [("usage", "GET /orders", "5.00")]
    prepaid = account(plan(kind="prepaid_volume", amount="105"), own_prices={"sub": {"rte_0": (row,)}})
    assert lines(charge_month(prepaid, *calls)) == [("usage", "GET /orders", "3.00")]


def test_a_fee_of_the_plan_is_due_by_the_share() -> None:
    fees = [{"name": "seat", "rows": [{"price": {"model": "flat_fee", "fee": "31"}}]}]
    row = msgspec.convert({"price": {"model": "flat_fee", "fee": "62"}}, PriceRow)
    short = {"started_at": START, "anchor": START, "ended_at": at(10)}
    for body, own, fee in (({}, {}, "10.00"), ({"prorated": False}, {}, "31.00"), ({}, {"seat": (row,)}, "20.00")):
        about = account(plan(body=body | {"prices": fees}), subscription=short, own_prices={"sub": own})
        assert lines(charge_month(about)) == [("fee", "seat", fee)]


def test_the_currency_is_that_of_the_plan_the_customer_or_the_first_call_that_costs() -> None:
    mixed = [(0, "0", "XXX", None), (1, "2", "USD", None), (2, "3", "GBP", None)]
    calls = [call(1), call(2, "/search"), call(3, "/x"), call(4, "/x")]

    def billed(about: Any) -> Charged:
        return charge_month(about, *calls)

    found = billed(account(plan(currency=None), prices=mixed))
    assert (found.parts[0].currency, lines(found)) == (
        "USD",
        [("usage", "/search", "2.00"), ("usage", "GET /orders", "0.00")],
    )
    (problem,) = found.problems
    assert problem == (
        "Calls of other routes (2) of the subscription sub from 2026-10-01T00:00:00+00:00 on are priced in GBP and not"
        " billed, for it is billed in USD: give it a plan in GBP, or a price of its own."
    )
    of_customer = billed(account(plan(currency=None), prices=mixed, customer={"currency": "GBP"}))
    assert lines(of_customer)[1:] == [("usage", "other routes", "6.00")]
    of_plan = billed(account(plan(), prices=mixed, customer={"currency": "GBP"}))
    assert (of_plan.parts[0].currency, len(of_plan.problems)) == ("EUR", 2)
    before = replace(found.parts[0], calls=(), prices=())
    assert charge_month(account(plan(), prices=mixed), *calls, parts=[before]).parts[0].currency == "USD"


def test_what_nothing_says_the_currency_of_is_not_charged() -> None:
    own = {"sub": {"rte_0": (per_unit("5"),)}}
    found = charge_month(account(plan(currency=None), own_prices=own), call(1))
    assert (found.charges, found.parts[0].currency) == ((), None)
    assert found.problems == (
        "Nothing says the currency of the subscription sub, and it is not charged: give its plan or the customer one.",
    )
    free = charge_month(account(plan(currency=None), prices=[(0, "0", "XXX", None)]), call(1))
    assert (free.charges, free.problems) == ((), ())


def test_the_first_calls_of_all_routes_are_those_prepaid() -> None:
    volume = account(plan(kind="prepaid_volume", amount="4", body={"fee": "1"}))
    calls = [call(1), call(2, "/search"), call(3, "/x"), call(4), call(4, "/search", units=Decimal("1.5")), call(5)]
    found = charge_month(volume, *calls)
    # At the same time, /search comes before GET /orders: of the latter half a call is left to be charged.
    assert lines(found)[1:] == [("usage", "GET /orders", "0.02")]
    assert [one.charge.quantity for one in found.charges][1:] == [1_500_000]


def test_a_volume_that_is_not_used_up_leaves_nothing_to_charge() -> None:
    volume = account(plan(kind="prepaid_volume", amount="9"))
    assert charge_month(volume, call(1), call(2)).charges == ()
    half = {"started_at": START, "anchor": START, "ended_at": at(15.5)}
    ended = account(plan(kind="prepaid_volume", amount="2"), subscription=half)
    assert lines(charge_month(ended, call(1), call(2))) == [("usage", "GET /orders", "0.01")]
    whole = account(plan(kind="prepaid_volume", amount="2", body={"prorated": False}), subscription=half)
    assert charge_month(whole, call(1), call(2)).charges == ()


def test_a_meter_counts_all_calls_of_the_part() -> None:
    about = account(
        metered("tokens", "calls", "none", maximum="20"),
        prices=[],
        meters={
            "tokens": meter(aggregation="sum", field="variables.tokens"),
            "calls": meter(aggregation="count", filters=[{"field": "status_code", "below": "400"}]),
        },
    )
    found = charge_month(
        about, call(1, variables='{"tokens": 12.5}'), call(2, None, '{"tokens": 9}'), call(3, status_code=404), call(-1)
    )
    assert lines(found) == [("usage", "tokens", "21.50"), ("maximum", "tokens", "-1.50"), ("usage", "calls", "2.00")]
    missing, unread = found.problems
    assert missing == (
        "The price 'none' of the plan 'gold' is of the meter 'none', which there is not, and the subscription sub is"
        " not charged by it: make the meter."
    )
    assert unread == (
        "Calls (1) of the subscription sub from 2026-10-01T00:00:00+00:00 on have nothing that the meter of 'tokens'"
        " can add, and are not charged by it: look at the field that it reads."
    )


def test_a_meter_has_tiers_by_group_and_rows_by_time() -> None:
    tiers = {"model": "graduated", "tiers": [{"up_to": "2", "unit_price": "1"}, {"unit_price": "10"}]}
    rows = [{"price": tiers, "valid_to": at(10)}, {"price": UNIT, "valid_from": at(10)}]
    prices = [{"name": "calls", "meter": "calls", "rows": rows}]
    by_user = meter(aggregation="count", group_by=["consumer.key"])
    about = account(plan(body={"prices": prices}), prices=[], meters={"calls": by_user})
    calls = [call(day, consumer=Consumer(key)) for day, key in ((1, "k"), (2, "k"), (3, "k"), (4, "l"), (20, "k"))]
    assert lines(charge_month(about, *calls)) == [("usage", "calls", "14.00")]


def test_what_is_no_route_has_no_price() -> None:
    about = account()
    (part,) = billing_parts(about, START, END)
    assert PriceList(about, Resolver(about.facts)).of_route(part, Resolution()) is None


def test_a_price_that_is_not_in_force_in_the_part_is_none_of_it() -> None:
    gone = [{"name": "calls", "meter": "calls", "rows": [{"price": UNIT, "valid_to": START}]}]
    about = account(plan(body={"prices": gone}), prices=[], meters={"calls": meter(aggregation="count")})
    assert charge_month(about, call(1)).parts[0].prices == ()


def test_only_meters_that_count_need_details() -> None:
    plain = meter(aggregation="sum", field="response.content_length", group_by=["consumer.group"])
    for name, deep in (
        ("plain", None),
        ("deep", meter(aggregation="max", field="variables.x")),
        ("deep", meter(aggregation="count", filters=[{"field": "client.platform", "one_of": ["x"]}])),
        ("deep", meter(aggregation="count", group_by=["error.type"])),
    ):
        about = account(metered(name), meters={"plain": plain} | ({"deep": deep} if deep else {}))
        parts = billing_parts(about, START, END)
        assert needs_details(about, parts) is (deep is not None)
        assert needs_details(about, []) is False


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_left_of_an_amount_off_carries_over_to_the_next_part(*, turned: bool) -> None:
    about = account(plan(kind="discount_amount", amount="0.03", period="day"))
    parts = billing_parts(about, START, at(3))
    parts[0] = replace(parts[0], carried=Decimal("0.01"))
    found = charge_month(about, call(0), call(1), call(1), call(2), parts=parts[::-1] if turned else parts)
    left = [(str(part.carried), str(part.left)) for part in found.parts]
    assert left[:: -1 if turned else 1] == [("0.01", "0.03"), ("0.03", "0.04"), ("0.04", "0.06")]


def late(charged: Charged) -> list[ChargedPart]:
    """The parts as they are to be billed again."""
    return [
        replace(part, before=tuple(one.charge for one in charged.charges if one.part == place), earlier=("inv_1",))
        for place, part in enumerate(charged.parts)
    ]


def test_late_calls_are_charged_by_what_they_add() -> None:
    price = {"model": "volume", "tiers": [{"up_to": "2", "unit_price": "1"}, {"unit_price": "0.1"}]}
    own = {"sub": {"rte_0": (msgspec.convert({"price": price}, PriceRow),)}}
    about = account(plan(body={"fee": "9", "minimum": "11"}), own_prices=own)
    first = charge_month(about, call(1))
    assert lines(first) == [
        ("base_fee", "base_fee", "9.00"),
        ("usage", "GET /orders", "1.00"),
        ("minimum", "minimum", "1.00"),
    ]
    again = charge_month(about, call(1), call(2), call(3), call(4, "/search"), parts=late(first))
    assert lines(again) == [
        ("usage", "/search", "0.02"),
        ("usage", "GET /orders", "-0.70"),
        ("minimum", "minimum", "0.68"),
    ]
    assert [one.charge.quantity for one in again.charges] == [1_000_000, 2_000_000, None]
    assert again.charges[1].charge.parts == ()
    same = charge_month(about, call(1), parts=late(first))
    assert (same.charges, same.parts[0].earlier) == ((), ("inv_1",))


def test_a_price_that_has_another_name_since_is_the_same_price() -> None:
    first = charge_month(account(), call(1))
    renamed = charge_month(account(versions=2), call(1), call(2), parts=late(first))
    assert lines(renamed) == [("usage", "shop v1 GET /orders", "0.01")]


TERMS = InvoiceTerms(currency="EUR", at=END)
PARTIES = Party(name="We"), Party(name="Acme")


def one_off(amount: str, taxes: tuple[str, ...] | None = None) -> Charge:
    return Charge(kind="one_off", name="setup", exact=Fraction(amount), amount=Decimal(amount), taxes=taxes)


def test_an_invoice_states_the_parts_in_its_currency() -> None:
    plans = [plan(period="week", body={"fee": "1"}), plan("other", currency="USD", period="week", body={"fee": "2"})]
    about = account(*plans, changes=[(7, "other"), (14, "gold")])
    charged = charge_month(about)
    assert [part.currency for part in charged.parts] == ["EUR", "USD", "EUR", "EUR"]
    found = state_invoice(charged, [one_off("0.00"), one_off("5.00")], TERMS, *PARTIES, language="de")
    assert found is not None
    assert [part.start for part in found.parts] == [START, START + 14 * DAY, START + 21 * DAY]
    assert [one.part for one in found.charges] == [0, 1, 2, None]
    assert [str(line.amount) for line in found.invoice.lines] == ["1.00", "1.00", "1.00", "5.00"]
    assert (found.language, found.seller.name, found.buyer.name) == ("de", "We", "Acme")


def test_without_a_line_there_is_no_invoice() -> None:
    nothing = charge_month(account())
    assert state_invoice(nothing, [], TERMS, *PARTIES) is None
    assert state_invoice(nothing, [one_off("0")], TERMS, *PARTIES) is None
    with pytest.raises(UnprocessableError, match="which isn't given"):
        state_invoice(nothing, [one_off("1", ("VAT",))], TERMS, *PARTIES)
