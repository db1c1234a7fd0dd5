from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.events.lease import LimitState
from tollkeeper.events.limit_headers import limit_headers

MICRO = 1_000_000
NAME = r'"(?:[ !#-\[\]-~]|\\"|\\\\)*"'
ITEM = re.compile(rf"{NAME};(?:q=\d{{1,15}};w=\d{{1,15}}|r=\d{{1,15}};t=\d{{1,15}})(?:, |\Z)")

numbers = st.integers(-(2**70), 2**70)
states = st.builds(
    LimitState,
    name=st.text(),
    quota=numbers,
    window=numbers,
    remaining=numbers,
    resets=st.floats(-1e30, 1e30),
)


def state(name: str = "all month", quota: int = 1000 * MICRO, remaining: int = 20 * MICRO) -> LimitState:
    return LimitState(name=name, quota=quota, window=2_678_400, remaining=remaining, resets=3599.2)


def test_each_limit_is_an_item_of_both_fields_in_their_order() -> None:
    assert limit_headers([state(), state("orders /orders day", 50 * MICRO, 7 * MICRO)]) == {
        "ratelimit-policy": '"all month";q=1000;w=2678400, "orders /orders day";q=50;w=2678400',
        "ratelimit": '"all month";r=20;t=3600, "orders /orders day";r=7;t=3600',
    }


def test_without_limits_there_is_no_field() -> None:
    assert limit_headers([]) == {}


def test_parts_of_units_are_not_promised() -> None:
    headers = limit_headers([state(quota=10_500_000, remaining=1_999_999)])
    assert headers["ratelimit-policy"] == '"all month";q=10;w=2678400'
    assert headers["ratelimit"] == '"all month";r=1;t=3600'


def test_what_a_string_may_not_hold_is_encoded() -> None:
    headers = limit_headers([state('a "b" \\c /größe\r\nX-Evil: 1')])
    assert headers["ratelimit"] == '"a \\"b\\" \\\\c /gr%C3%B6%C3%9Fe%0D%0AX-Evil: 1";r=20;t=3600'


@given(st.lists(states, min_size=1, max_size=5))
def test_whatever_the_limits_are_the_fields_are_well_formed(limits: list[LimitState]) -> None:
    for value in limit_headers(limits).values():
        assert len(ITEM.findall(value)) == len(limits)
        assert not ITEM.sub("", value)
