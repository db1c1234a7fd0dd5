from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.capture.redact import Redactor, authorization_scheme
from tollkeeper.events.redaction import REDACTED

SENSITIVE = [
    "password",
    "Set-Cookie",
    "apiKey",
    "x-api-key",
    "accessToken",
    "CARD NUMBER",
    "user_ssn",
    "cvv",
    "Session",
]
SECRET = "hunter2-hunter2"

names = st.sampled_from(SENSITIVE).flatmap(
    lambda name: st.sampled_from([name, name.upper(), name.lower(), f"my_{name}"])
)
plain = st.sampled_from(["id", "name", "items", "className", "author", "company", "keyboard"])
secrets = st.sampled_from([SECRET, [SECRET], {"a": SECRET}, {"deep": [{"er": [SECRET]}]}, [[SECRET, 1], None]])


def wrapped(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda name, child: {"n": 1, name: child}, plain, children),
        st.lists(children, min_size=1, max_size=3),
        st.builds(lambda child: [0, "x", child], children),
    )


@given(st.recursive(st.builds(lambda name, secret: {name: secret, "id": 7}, names, secrets), wrapped, max_leaves=8))
def test_a_secret_under_a_sensitive_name_is_hidden_at_any_depth(document: Any) -> None:
    shown = json.dumps(Redactor().document(json.loads(json.dumps(document))))
    assert SECRET not in shown
    assert REDACTED in shown


@given(names, st.text(alphabet="abc;,=?#/ %\u00e9", max_size=12), plain)
def test_a_secret_in_a_query_is_hidden_however_it_is_encoded(name: str, noise: str, other: str) -> None:
    for encode in (quote, quote_plus):
        query = f"{other}=1&{encode(name)}={noise.replace('&', '')}{SECRET}&page=2"
        for shown in (Redactor().url(query), Redactor().url(f"https://api.example/v1?{query}")):
            assert SECRET not in shown
            assert "page=2" in shown
        assert SECRET not in str(Redactor().args(query))


@pytest.mark.parametrize("value", [1, 1.5, True, None, "x", [], {}, [1], {"a": 1}])
def test_any_type_is_replaced(value: object) -> None:
    assert Redactor().document({"Password": value}) == {"Password": REDACTED}


@pytest.mark.parametrize(
    "name", ["className", "author", "businessName", "company", "spinner", "keyboard", "id", "stuffing"]
)
def test_words_that_only_look_alike_are_shown(name: str) -> None:
    assert not Redactor().is_sensitive(name)


@pytest.mark.parametrize(
    "name", ["userSSN", "cvc", "card-cvc", "PIN", "auth", "X-Auth", "\uff50assword", "a" * 100 + "token"]
)
def test_other_spellings_are_hidden(name: str) -> None:
    assert Redactor().is_sensitive(name)


def test_names_can_be_added_in_any_spelling() -> None:
    redactor = Redactor(deny=("Blood Type", "-"))
    assert redactor.document({"bloodType": "0", "type": "x"}) == {"bloodType": REDACTED, "type": "x"}


def test_a_document_deeper_than_the_recursion_limit() -> None:
    deep: Any = {"token": SECRET}
    for _ in range(5000):
        deep = [deep]
    node = Redactor().document(deep)
    for _ in range(5000):
        node = node[0]
    assert node == {"token": REDACTED}


def test_headers_keep_duplicates_and_hide_by_name_and_in_addresses() -> None:
    shown = Redactor().headers(
        [
            ("Vary", "a"),
            ("vary", "b"),
            ("Vary", "c"),
            ("Set-Cookie", "s=1"),
            ("Set-Cookie", "t=2"),
            ("Location", "https://u:p@x/y?token=abc&n=1#id_token=z"),
            ("Accept", "*/*"),
        ]
    )
    assert shown == {
        "Vary": ["a", "b", "c"],
        "Set-Cookie": [REDACTED, REDACTED],
        "Location": f"https://{REDACTED}@x/y?token={REDACTED}&n=1#id_token={REDACTED}",
        "Accept": "*/*",
    }


def test_args_keep_what_is_repeated() -> None:
    assert Redactor().args("a=1&a=2&b=&c=%ff&next=%2Fx%3Ftoken%3Dq") == {
        "a": ["1", "2"],
        "b": "",
        "c": "\ufffd",
        "next": f"/x?token={REDACTED}",
    }


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("Bearer abc", "Bearer [REDACTED]"),
        ("basic dTpw", "basic [REDACTED]"),
        ("my-raw-key", "[REDACTED]"),
        ("half-a-key and-more", "[REDACTED]"),
    ],
)
def test_of_an_authorization_only_a_known_scheme_is_shown(header: str, shown: str) -> None:
    assert authorization_scheme(header) == shown
