from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.events.redaction import REDACTED, is_suspect, redact_text
from tollkeeper.events.secret_values import is_card_number

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_x"
PEM = "-----BEGIN RSA PRIVATE KEY-----{}-----END RSA PRIVATE KEY-----"
CARDS = [
    "4242424242424242", "4000056655665556", "4222222222222", "5555555555554444", "2223003122003222", "378282246310005",
    "30569309025904", "6011111111111117", "3566002020360505", "6200000000000005", "6304000000000000",
]  # fmt: skip


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        f"{JWT}.five.parts",
        "sk_live_abcdefghijkl",
        "rk_test_abcdefghijkl",
        "whsec_abcdefghijklmnop",
        "sk-proj-abc123abc123abc123abc",
        "ghp_abcdefghijklmnopqrstuvwx",
        "github_pat_abcdefghijklmnopqrstuvwx",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "AIza" + "a1_-b" * 7,
        "xoxb-1234567890-abc",
        "tk_abcdefghijklmnopqrstuvwx",
        "tkt_abcdefghijklmnopqrst-_wx",
    ],
)
def test_tokens_and_keys_are_known_by_their_shape(secret: str) -> None:
    for text in ("{}", "see {} there", 'x="{}"', "({})", "%20{}%20", "a\\n{}\\n", "/x/{}?y"):
        assert redact_text(text.format(secret)) == text.format(REDACTED)
        assert is_suspect(text.format(secret))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("with Bearer abc.def-123 here", f"with Bearer {REDACTED} here"),
        ("BEARER   abcdef", f"BEARER   {REDACTED}"),
        ("q=Bearer%20abcdef", f"q=Bearer%20{REDACTED}"),
        ("q=Bearer+abcdef", f"q=Bearer+{REDACTED}"),
        ("Basic dXNlcjpwYXNz", f"Basic {REDACTED}"),
        ("basic dXNlcjpwYXNzMQ==", f"basic {REDACTED}"),
        (PEM.format("\nMIIE\n"), PEM.format(REDACTED)),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", f"-----BEGIN PRIVATE KEY-----{REDACTED}"),
    ],
)
def test_credentials_are_known_by_what_is_before_them(text: str, shown: str) -> None:
    assert redact_text(text) == shown
    assert redact_text(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Bearer authentication is required",
        'Bearer realm="api"',
        "Bearer tokens",
        "the bearer of it",
        "basic information",
        "Basic a",
        "Basic abcde",
        "eyJust a word",
        "eyJ.one",
        "disk-space-of-some-machine-12",
        "task_live_abcdefghijkl",
        "sk-learn-and-other-long-names",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "AKIA is short",
        "2025-01-02 03-04-05 06",
        "1718000000000",
        "4242424242424241",
        "44242424242424242424242",
        "0.4242424242424242",
        "550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_what_only_looks_alike_is_shown(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("number", CARDS)
@pytest.mark.parametrize("separator", ["", " ", "-", "\u2011", "\u00a0"])
def test_card_numbers_are_hidden_in_groups_or_not(number: str, separator: str) -> None:
    written = separator.join([number[:4], number[4:8], number[8:12], number[12:]])
    assert redact_text(f"id 12 {written}, 1/30") == f"id 12 {REDACTED}, 1/30"
    assert is_card_number(number)


@settings(deadline=None)
@given(st.sampled_from(CARDS), st.lists(st.sampled_from([" ", "-", ""]), min_size=16, max_size=16))
def test_a_card_number_is_hidden_however_it_is_grouped(number: str, separators: list[str]) -> None:
    written = "".join(digit + separator for digit, separator in zip(number, separators, strict=False))
    assert redact_text(f"card {written.strip(' -')}.") == f"card {REDACTED}."


@settings(deadline=None)
@given(st.integers(10**12, 10**19))
def test_a_number_is_a_card_only_with_an_issuer_and_a_right_sum(number: int) -> None:
    digits = str(number)
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    total = sum(map(int, digits[::-2])) + sum(number - 9 if number > 9 else number for number in doubled)
    assert is_card_number(digits) <= (total % 10 == 0 and digits[0] in "23456" and len(digits) <= 19)


def test_two_cards_in_a_row_are_both_hidden() -> None:
    assert redact_text(f"{CARDS[0]} {CARDS[3]}") == f"{REDACTED} {REDACTED}"
    assert redact_text(f"12 {CARDS[5]} 34") == f"12 {REDACTED} 34"


@pytest.mark.parametrize("address", ["ann@example.com", "a.b+c@x-y.co.uk", "ü@ex.example"])
def test_emails_are_hidden_when_asked(address: str) -> None:
    assert redact_text(f"to <{address}>, ok") == f"to <{address}>, ok"
    assert redact_text(f"to <{address}>, ok", emails=True) == f"to <{REDACTED}>, ok"
    assert redact_text("@here a@b", emails=True) == "@here a@b"


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=20), st.binary(max_size=20))
def test_basic_credentials_are_hidden_whatever_they_are(user: bytes, password: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(user + b":" + password).decode()
        for written in (encoded, encoded.rstrip("=")):
            assert written not in redact_text(f"Basic {written}")
