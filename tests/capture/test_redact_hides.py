"""A secret is hidden under a sensitive name, wrapped and encoded in whatever way; then it is looked for."""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollkeeper.capture.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "hunter2Zq"
NAMES = [
    "password", "set-cookie", "api key", "access token", "authorization", "card number", "client_secret", "ssn", "cvv",
    "pin", "session id", "x-api-key", "private key", "sig",
]  # fmt: skip
STYLES: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "title": str.title,
    "swapped": lambda name: "".join(letter.upper() if at % 2 else letter for at, letter in enumerate(name)),
    "wide": lambda name: "".join(chr(ord(letter) + 0xFEE0) if letter.isalpha() else letter for letter in name),
    "accents": lambda name: name.replace("a", "\u00e1").replace("i", "i\u0301"),
    "invisible": "\u200b".join,
    "plain": str,
}
REDACTOR = Redactor()


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """A sensitive name in some spelling."""
    words = draw(st.sampled_from(NAMES)).replace("-", " ").replace("_", " ").split()
    if draw(st.booleans()):
        return words[0] + "".join(map(str.title, words[1:]))
    name = draw(st.sampled_from(["", "_", "-", " ", ".", "__"])).join(words)
    return draw(st.sampled_from(["", "my_", "user.", "X-"])) + STYLES[draw(st.sampled_from(sorted(STYLES)))](name)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def encoded(value: Any, times: int) -> str:
    text = as_text(value)
    for _ in range(times):
        text = quote(text, safe="")
    return text


def in_base64(value: Any, url_safe: bool) -> str:  # noqa: FBT001 - hypothesis gives it by its place
    data = json.dumps({"state": value}).encode()
    return (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()


def is_in(text: str) -> bool:
    """Look for the secret as anybody would who knows Base64 when they see it."""
    if SECRET in text:
        return True
    for run in re.findall(r"[A-Za-z0-9+/_-]{16,}", text):
        plain = run.translate(str.maketrans("-_", "+/"))[: len(run) // 4 * 4]
        if is_in(base64.b64decode(plain).decode("utf-8", "replace")):
            return True
    plain = unquote(text)
    return plain != text and is_in(plain)


noise = st.text(alphabet="ab1 ,;:=&?#/\\\"'()[]{}<>%+\u00e9\n", max_size=6)
values = st.one_of(
    st.just(SECRET),
    st.builds("{}{}{}".format, noise, st.just(SECRET), noise),
    st.sampled_from([[SECRET], {"a": SECRET}, {"x": [{"y": [1, SECRET]}]}, [[SECRET, 1], None]]),
)
plain = st.sampled_from(["id", "q", "items", "note", "className", "page", "data", "payload"])
beside = st.one_of(st.none(), st.integers(0, 99), st.sampled_from(["x", "a, b", "it's", 'say "hi"', "50%", "a=b"]))
fields = st.sampled_from(
    [("name", "value"), ("key", "value"), ("Key", "Val"), ("field", "new"), ("headerName", "content")]
)

documents = st.one_of(
    st.builds(lambda name, value: {name: value}, spelled(), values),
    st.builds(lambda name, value: [name, value], spelled(), values),
    st.builds(lambda name, value, field: {field[0]: name, field[1]: value}, spelled(), values, fields),
    st.builds(lambda name, value, field: {field[1]: value, field[0]: name}, spelled(), values, fields),
)
some = st.text(alphabet="abcXYZ123,;", max_size=4)
texts = st.one_of(
    st.builds("{}={}{}{}".format, spelled().map(lambda name: name.replace(" ", "_")), some, st.just(SECRET), some),
    st.builds("something {}: {}{}{} rest".format, spelled(), some, st.just(SECRET), some),
    st.builds("see {!r}: {!r} now".format, spelled(), values),
    st.builds(lambda name, value: urlencode([("a", "1"), (name, as_text(value)), ("p", "2")]), spelled(), values),
    st.builds(
        lambda name, value: f"https://h.example/?{urlencode({name: as_text(value)}, quote_via=quote)}#x",
        spelled(),
        values,
    ),
    st.builds("<{0} id='1'>{1}</{0}>".format, st.sampled_from(["password", "ns:apiKey"]), st.just(SECRET)),
    st.sampled_from([f"https://bob:{SECRET}@h.example/x", f"with Bearer {SECRET} ok", f"/reset-password/{SECRET}-1/x"]),
)


def wrapped(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda name, value, other: {"n": other, name: value, "z": 1}, plain, inner, beside),
        st.builds(lambda value, other: [other, value, 5], inner, beside),
        st.builds(lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only), inner, st.booleans()),
        st.builds(encoded, inner, st.integers(1, 3)),
        st.builds(in_base64, inner, st.booleans()),
        st.builds(lambda name, value: urlencode([("a", "b"), (name, as_text(value)), ("z", "1")]), plain, inner),
        st.builds(lambda value: f'<div data-x="{html.escape(as_text(value))}">', inner),
        st.builds(lambda name, value: f"/p?x=1&{urlencode({name: as_text(value)}, quote_via=quote)}", plain, inner),
    )


hidden = st.recursive(st.one_of(documents, texts), wrapped, max_leaves=5)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hidden)
def test_a_secret_is_nowhere(document: Any) -> None:
    text = as_text(document)
    query = urlencode({"q": text, "page": 1})
    shown = {
        "document": REDACTOR.document(json.loads(json.dumps(document))),
        "text": REDACTOR.text(text),
        "indented": REDACTOR.text(json.dumps(document, indent=1)),
        "repr": REDACTOR.text(f"raised ValueError({document!r})"),
        "args": REDACTOR.args(query),
        "form": REDACTOR.url(f"https://h.example/a?{query}"),
        "url": REDACTOR.url(f"https://h.example/a?{urlencode({'q': text}, quote_via=quote)}#x"),
        "headers": REDACTOR.headers([("X-Data", text), ("x-data", text)]),
    }
    assert [where for where, what in shown.items() if is_in(json.dumps(what, ensure_ascii=False))] == []


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(spelled(), noise.map(lambda text: f"{text}{SECRET}")), min_size=1, max_size=4))
def test_no_repetition_of_a_name_lets_a_secret_through(pairs: list[tuple[str, str]]) -> None:
    pairs = [*pairs, ("page", "2"), *pairs]
    for query in (urlencode(pairs), urlencode(pairs, quote_via=quote), urlencode(pairs).replace("%", "%25")):
        assert SECRET not in REDACTOR.url(f"/a?{query}")
        assert SECRET not in json.dumps(REDACTOR.args(query))
        assert REDACTOR.args(query)["page"] == "2"
    assert SECRET not in json.dumps(REDACTOR.headers(pairs))
    assert SECRET not in REDACTOR.text(
        "{" + ", ".join(f"{json.dumps(name)}: {json.dumps(held)}" for name, held in pairs) + "}"
    )


@settings(max_examples=300, deadline=None)
@given(st.builds(lambda name, value: {"a": [1, {name: value}]}, spelled(), values), st.integers(0, 200))
def test_a_text_that_was_cut_anywhere_hides_its_secrets(document: Any, kept: int) -> None:
    for text in (json.dumps(document), json.dumps(document, indent=1), json.dumps(json.dumps(document))):
        assert SECRET not in REDACTOR.text(text[:kept])


calm = st.text(alphabet="bdfghjlmnrvwz \u00e9\u4e2d.,!?()-", max_size=40)  # no name of a secret is made of these
harmless = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**12) + 1, 10**12 - 1), st.floats(-1e9, 1e9), calm),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["id", "name", "createdAt", "author", "className", "max_tokens"]), inner),
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(harmless)
def test_what_holds_no_secret_is_shown_as_it_is(document: Any) -> None:
    before = json.dumps(document)
    assert json.dumps(REDACTOR.document(document)) == before
    assert REDACTOR.text(before) == before


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["page", "q", "sort"]), calm), max_size=4))
def test_addresses_without_secrets_are_shown_as_they_are(pairs: list[tuple[str, str]]) -> None:
    for query in (urlencode(pairs), urlencode(pairs, quote_via=quote)):
        url = f"https://h.example:8080/users/123?{query}"
        assert REDACTOR.url(url) == url
