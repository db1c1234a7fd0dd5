from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from tollkeeper.compat.flask_chest.values import to_field, to_text
from tollkeeper.errors import SinkError


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        ("ü", "ü"),
        (0, "0"),
        (-(2**70), str(-(2**70))),
        (True, "1"),
        (False, "0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (math.inf, "inf"),
        ([], "[]"),
        ({}, "{}"),
        ([1, None, "ü"], '[1,null,"ü"]'),
        (("a", {"b": (1.5, True)}), '["a",{"b":[1.5,true]}]'),
        ({1: Decimal("0.10"), "when": date(2026, 5, 4)}, '{"1":"0.10","when":"2026-05-04"}'),
        (MappingProxyType({"a": MappingProxyType({"b": 1})}), '{"a":{"b":1}}'),
        ({Text("k"): Text("v")}, '{"k":"v"}'),
        ({7}, "[7]"),
        ({("a", 1): 2}, "{\"('a', 1)\":2}"),
        (b"\xfft", "\\xfft"),
        (bytearray(b"abc"), "abc"),
        (Decimal("1.10"), "1.10"),
        (datetime(2026, 5, 4, 10), "2026-05-04 10:00:00"),  # noqa: DTZ001 - what an app puts there
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("half \ud83d", "half \\ud83d"),
    ],
    ids=repr,
)
def test_a_value_becomes_text(value: Any, text: str | None) -> None:
    assert to_text("name", value) == text


@pytest.mark.parametrize("value", [True, 0, 2**63 - 1, -(2**63), 1.5, "a", None], ids=repr)
def test_a_field_keeps_what_it_can_hold(value: Any) -> None:
    found = to_field("name", value)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("value", "field"), [(2**63, str(2**63)), (math.nan, "nan"), ([1], "[1]")], ids=repr)
def test_a_field_has_the_rest_as_text(value: Any, field: str) -> None:
    assert to_field("name", value) == field


def test_what_is_no_json_is_named_and_not_shown() -> None:
    endless: list[Any] = ["s3cret"]
    endless.append(endless)
    with pytest.raises(SinkError, match="'basket'") as caught:
        to_text("basket", endless)
    assert "s3cret" not in str(caught.value)
