from __future__ import annotations

from decimal import Decimal

from billing.accounts import at, call
from tollkeeper.billing.resolve import Call
from tollkeeper.billing.tally import Tally, tally_events
from tollkeeper.events.timestamps import to_microseconds

DAY = 86_400_000_000


def test_calls_that_are_alike_are_added_up_by_step() -> None:
    found = tally_events(
        [
            call(1.5, api_version=""),
            call(1.25, units=Decimal("0.5")),
            call(2),
            call(1, consumer=None),
            call(1, gated=True),
            call(1, "/search"),
        ],
        DAY,
    )
    orders = Call(consumer="k", api="shop", endpoint="/orders", method="GET")
    search = Call(consumer="k", api="shop", endpoint="/search", method="GET")
    first, noon, second = (to_microseconds(at(day)) for day in (1, 1.5, 2))
    assert found == [
        Tally(call=orders, first=to_microseconds(at(1.25)), last=noon, units=1_500_000),
        Tally(call=orders, first=second, last=second, units=1_000_000),
        Tally(call=search, first=first, last=first, units=1_000_000),
    ]
