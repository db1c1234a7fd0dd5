"""The engine agrees with the oracle: to the cent on invoices, exactly on what a price makes of quantities."""

from __future__ import annotations

import os
from decimal import localcontext
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from billing import month_oracle, oracle
from billing.cases import cases, in_order, rated
from billing.engine import figures
from billing.month_cases import months
from billing.month_engine import Numbered, event_of, invoices_of, statement_figures
from tollkeeper.billing.money import to_minor
from tollkeeper.billing.packing import pack, unpack
from tollkeeper.billing.price_rows import PriceRow, check_rows
from tollkeeper.billing.rating import rate
from tollkeeper.billing.recomputing import charge_filter, recompute
from tollkeeper.billing.statement import ChargedPart, Statement
from tollkeeper.metering.quantity import Quantity

LONG = bool(os.environ.get("TOLLKEEPER_TEST_ORACLE"))  # ten minutes of it
SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.timeout(3600 if LONG else 120)
@settings(max_examples=10_000 if LONG else 150, deadline=None, suppress_health_check=SLOW_IS_FINE)
@given(cases())
def test_invoices_agree_to_the_cent(case: dict[str, Any]) -> None:
    expected = oracle.invoice(case)
    assert figures(case) == expected
    with localcontext(prec=1):  # the host app may have any, and it must not matter
        assert figures(case, in_sums=True) == expected


@pytest.mark.timeout(3600 if LONG else 120)
@settings(max_examples=20_000 if LONG else 400, deadline=None, suppress_health_check=SLOW_IS_FINE)
@given(rated())
def test_prices_agree_exactly(case: dict[str, Any]) -> None:
    rows = check_rows(msgspec.convert(row, PriceRow) for row in case["rows"])
    rating = rate(rows, [Quantity(at, int(amount * 1_000_000)) for at, amount in case["used"]])
    used = [(at, Fraction(amount)) for at, amount in case["used"]]
    assert rating.cost == oracle.price_cost(case["rows"], used)
    unpriced = sum(amount for at, amount in used if oracle.in_force(case["rows"], at) is None)
    assert Fraction(rating.unpriced, 1_000_000) == unpriced


@pytest.mark.timeout(3600 if LONG else 120)
@settings(max_examples=10_000 if LONG else 60, deadline=None, suppress_health_check=SLOW_IS_FINE)
@given(months())
def test_invoices_of_months_agree_to_the_cent(case: dict[str, Any]) -> None:
    numbered = [Numbered(one["seq"], event_of(one)) for one in in_order(case["events"])]
    for (charged, statement), expected in zip(invoices_of(case), month_oracle.invoices(case), strict=True):
        parts = [part for part in charged.parts if part.currency == case["invoiced"]]
        assert [
            (part.subscription, part.plan.name, part.start, part.end, part.share, to_minor(part.left, case["invoiced"]))
            for part in parts
        ] == [
            (part["sub"]["id"], part["plan"], part["start"], part["end"], part["share"], part["left"])
            for part in expected["parts"]
        ]
        charged_by = [charged_events(part, numbered) for part in parts]
        assert charged_by == [part["charged"] for part in expected["parts"]]
        assert len({seq for one in charged_by for seq in one}) == sum(map(len, charged_by))
        if statement is None:
            assert expected["figures"]["charges"] == []
        else:
            assert statement_figures(statement) == expected["figures"]
            kept = unpack(pack(statement), Statement)
            assert recompute(kept, numbered) == kept == statement


def charged_events(part: ChargedPart, events: list[Numbered]) -> dict[int, str]:
    """The route by which each event is charged, by its number."""
    return {
        one.seq: price.price
        for price in part.prices
        if price.meter is None
        for one in events
        if charge_filter(part, price.price)(one.seq, one.event)
    }
