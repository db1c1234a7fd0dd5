"""Whatever is sent: redaction does not raise, gives what can be written as JSON, and takes time in proportion."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.growth import cost
from tollkeeper.capture.redact import Redactor

REDACTOR = Redactor(emails=True)
PIECES = [
    "a=", "a=b&", "token=", "token: ", "token='", 'token=\\"', "token=(", 'token="(', "token=''token=(", '"token":',
    '["token",', '("token","token=(', '{"name":"token","value":', "name=token&value=(", "<token>", "<token a>", "<a b=",
    "<", "}<", "(", "([{", '"', "'", "\\", '\\"', "\\u005c", 'token\\u005c"', " ", "\n", "token: |\n\n ", "a b: ",
    "a   ", ":", "::", "//", "//a@", "://a:b", "/a1b2c3d4", "/token/", "/token/a1b2c3d4", "eyJ", "eyJ.a", "eyJa.b.",
    "Bearer ", "Basic dXNlcjpwYXNz ", "sk-", "sk-a", "xoxb-", "-----BEGIN PRIVATE KEY-----", "1", "4 ", "4-", "%", "%2",
    "4242 4242 ", "%41", "%2541", "%25", "%e2", "%%33", "%2B+", "+%252B", "a@", "a@b.", ".", "\u00e9", "\uff1a", ";",
]  # fmt: skip
EVERY_TEXT = st.text(st.characters(), max_size=200)
CROOKED = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=40).map("".join)


def seconds(text: str) -> float:
    def redact() -> None:
        redactor = Redactor(emails=True)
        redactor.text(text)
        redactor.url(text)
        redactor.document({"a": [text]})

    return min(cost(redact) for _ in range(2))


def grows_with_its_square(piece: str, before: str = "") -> bool:
    """Whether 16 times as much takes more than 64 times as long: in proportion it is 16 times, squared 256 times."""
    short, long = (before + piece * (size // len(piece) + 1) for size in (1_000, 16_000))
    return seconds(long) > 64 * max(seconds(short), 1e-4)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("piece", PIECES)
def test_time_is_in_proportion_to_size(piece: str) -> None:
    for before in ("", 'name=token {"token="'):
        # A machine that is busy elsewhere may look like it once, but not each time.
        assert not all(grows_with_its_square(piece, before) for _ in range(5))


@pytest.mark.timeout(120)
def test_hostile_text_costs_not_much_more_than_any_text_that_is_looked_into() -> None:
    size = 8_000
    usual = seconds(("see the value=7 of it: some words, and so on, at 12:30. " * size)[:size])
    # Again only where it seems slow: most are not, at the first look.
    slow = [piece for piece in PIECES if all(seconds((piece * size)[:size]) > 50 * usual for _ in range(3))]
    assert slow == []


@settings(deadline=None)
@given(st.one_of(EVERY_TEXT, CROOKED))
def test_no_text_makes_it_raise(text: str) -> None:
    shown = [
        REDACTOR.text(text),
        REDACTOR.url(text),
        REDACTOR.args(text),
        REDACTOR.headers([(text, text), ("a", text)]),
        REDACTOR.document({text: [text, {text[:5]: text}]}),
    ]
    assert [type(what) for what in shown] == [str, str, dict, dict, dict]
    assert isinstance(REDACTOR.is_sensitive(text), bool)
    if text.isascii():
        assert msgspec.json.encode(shown)


@settings(deadline=None)
@given(CROOKED)
def test_a_second_look_never_shows_more(text: str) -> None:
    once = REDACTOR.text(text)
    assert len(REDACTOR.text(once).replace("[REDACTED]", "")) <= len(once)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), EVERY_TEXT, CROOKED),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(
            st.one_of(st.sampled_from(["name", "value", "key", "token", "type"]), st.text(max_size=8)), inner
        ),
    ),
    max_leaves=30,
)


@settings(deadline=None)
@given(JSON)
def test_no_document_makes_it_raise(document: Any) -> None:
    leaves: list[str] = []

    def custom(path: str, value: Any) -> Any:
        leaves.append(path)
        return value

    Redactor(custom=custom, emails=True, deny=["x"], allow=["token"]).document(document, "at")
    assert all(path.startswith("at") for path in leaves)
