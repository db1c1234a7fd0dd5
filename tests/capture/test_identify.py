from __future__ import annotations

import base64
from typing import Any

import pytest

from tollkeeper.capture.identify import as_consumer, default_consumer
from tollkeeper.events.event import Consumer


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_the_same_credential_is_the_same_consumer_and_cannot_be_read_from_it() -> None:
    first = default_consumer("my-secret-key", None)
    assert first == default_consumer(None, "Bearer my-secret-key") == default_consumer(None, basic("my-secret-key:pw"))
    assert first is not None
    assert first.key.startswith("key_")
    assert len(first.key) == 36
    assert "secret" not in str(first)
    assert first != default_consumer("my-other-key", None)


def test_a_password_makes_no_difference() -> None:
    assert default_consumer(None, basic("ann:1")) == default_consumer(None, basic("ann:2"))


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic ???", "Basic =", "Digest abc", basic(":pw")]
)
def test_without_a_credential_nobody_is_known(authorization: str | None) -> None:
    assert default_consumer(None, authorization) is None
    assert default_consumer("", authorization) is None


@pytest.mark.parametrize(
    ("value", "consumer"),
    [
        (None, None),
        ("", None),
        ("ann", Consumer(key="ann")),
        ({"key": 7, "email": "a@b.c", "plan": "gold"}, Consumer(key="7", email="a@b.c")),
        (Consumer(key="x", group="g"), Consumer(key="x", group="g")),
        ({"key": "k" * 999, "label": "l" * 999}, Consumer(key="k" * 255, label="l" * 255)),
        ("\udc80", Consumer(key="?")),
    ],
)
def test_what_identify_may_return(value: Any, consumer: Consumer | None) -> None:
    assert as_consumer(value) == consumer


@pytest.mark.parametrize("value", [7, [], {}, {"label": "x"}, object(), {"key": ""}, b"ann"])
def test_garbage_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="identify returned"):
        as_consumer(value)
