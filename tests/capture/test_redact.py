from __future__ import annotations

import threading
from typing import Any

import pytest

from tollkeeper.capture.redact import Redactor, authorization_scheme
from tollkeeper.events.redaction import REDACTED

SECRET = "hunter2-hunter2"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
CARD = 4242424242424242
X = REDACTED


@pytest.mark.parametrize("value", [1, 1.5, True, None, "x", "", [], {}, [1], {"a": 1}])
def test_any_type_is_replaced(value: object) -> None:
    assert Redactor().document({"Password": value}) == {"Password": X}


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ({"user": {"keys": [{"apiKey": "x", "id": 1}]}}, {"user": {"keys": [{"apiKey": X, "id": 1}]}}),
        (["password", "x"], ["password", X]),
        ([["password", {"a": 1}], ["id", 7]], [["password", X], ["id", 7]]),
        (["set", "password", ["x"], "y"], ["set", "password", X, "y"]),
        (["password"], ["password"]),
        (["enter your password here, please", "x"], ["enter your password here, please", "x"]),
        ({"name": "password", "value": [1]}, {"name": "password", "value": X}),
        ({"value": "x", "Key": "API key"}, {"value": X, "Key": "API key"}),
        ({"k": "token", "v": "x", "n": 1}, {"k": "token", "v": X, "n": 1}),
        ({"field": "pin", "old": 1, "new": 2}, {"field": "pin", "old": X, "new": X}),
        ({"type": "password", "value": "x", "text": "y"}, {"type": "password", "value": X, "text": "y"}),
        (
            {"op": "replace", "path": "/users/7/password", "value": "x"},
            {"op": "replace", "path": "/users/7/password", "value": X},
        ),
        ({"path": "/auth/login", "text": "y", "data": 3}, {"path": "/auth/login", "text": "y", "data": 3}),
        ({"name": "Ann", "value": "x"}, {"name": "Ann", "value": "x"}),
        ({"name": ["token"], "value": "x"}, {"name": ["token"], "value": "x"}),
        ({"note": '{"password": "x"}'}, {"note": f'{{"password": "{X}"}}'}),
        ({"note": '"{\\"password\\": \\"x\\"}"'}, {"note": f'"{{\\"password\\": \\"{X}\\"}}"'}),
        ({"form": "a=1&pin=x&b=2"}, {"form": f"a=1&pin={X}&b=2"}),
        ({"link": "https://u:p@h/?token=x#a"}, {"link": f"https://{X}@h/?token={X}"}),
        ({"x": f"see {JWT}."}, {"x": f"see {X}"}),
        ({"cards": [CARD, -CARD, float(CARD), CARD + 1, 0.5]}, {"cards": [X, X, X, CARD + 1, 0.5]}),
        ({"card": CARD, "at": 1718000000000, "big": 10**30}, {"card": X, "at": 1718000000000, "big": 10**30}),
        ({"inf": float("inf"), "huge": 1e300}, {"inf": float("inf"), "huge": 1e300}),
        ({JWT: 1, "a": 2}, {X: 1, "a": 2}),
        ({f"{JWT}a": 1, f"{JWT}b": {"pin": 1}}, {X: 1, f"{X} 1": {"pin": X}}),
        ({f"{JWT}a": "token=x"}, {X: f"token={X}"}),
        ("password: x", f"password: {X}"),
        (CARD, X),
        (None, None),
        (True, True),
    ],
)
def test_secrets_leave_a_document(document: Any, shown: Any) -> None:
    assert Redactor().document(document) == shown


def test_what_holds_no_secret_is_not_touched() -> None:
    document = {"id": 7, "name": "value", "ok": [True, None, 0.5, "a b", {"max_tokens": 5}], "time": "12:30"}
    assert Redactor().document(document) is document
    assert document == {"id": 7, "name": "value", "ok": [True, None, 0.5, "a b", {"max_tokens": 5}], "time": "12:30"}


def test_names_can_be_added_in_any_spelling() -> None:
    redactor = Redactor(deny=("Blood Type", "-"))
    assert redactor.document({"my_bloodType": "0", "type": "x"}) == {"my_bloodType": X, "type": "x"}
    assert redactor.text("blood_type=0") == f"blood_type={X}"
    assert redactor.url("/?%62lood-type=0") == f"/?%62lood-type={X}"


def test_names_can_be_taken_away_but_not_from_deny() -> None:
    redactor = Redactor(deny=["max_tokens", "color"], allow=["Next Page-Token", "color", "authorization"])
    shown = redactor.document({"nextPageToken": "x", "next_page_tokens": "x", "color": "x", "max_tokens": 1})
    assert shown == {"nextPageToken": "x", "next_page_tokens": X, "color": X, "max_tokens": X}
    assert redactor.headers([("Authorization", "Bearer abcdef")]) == {"Authorization": f"Bearer {X}"}


def test_a_document_deeper_than_the_recursion_limit() -> None:
    deep: Any = {"token": SECRET}
    for _ in range(5000):
        deep = [deep]
    seen: dict[str, Any] = {}
    node = Redactor(custom=seen.setdefault).document([1, [deep, 2]])
    assert list(seen.values()) == [1, 2]
    node = node[1][0]
    for _ in range(5000):
        node = node[0]
    assert node == {"token": X}


def test_headers_keep_duplicates_and_hide_by_name_and_in_values() -> None:
    shown = Redactor().headers(
        [
            ("Vary", "a"),
            ("vary", "b"),
            ("Vary", "c"),
            ("Set-Cookie", "s=1"),
            ("Set-Cookie", "t=2"),
            ("AUTHORIZATION", f"Bearer {SECRET}"),
            ("Location", "https://u:p@x/y?token=abc&n=1#id_token=z"),
            ("X-Data", '{"password": "a b", "n": 1}'),
            ("X-Next", "Bearer abcdef"),
            (JWT, "1"),
            ("Accept", "*/*;q=0.8"),
            ("Accept", "*/*;q=0.8"),
        ]
    )
    assert shown == {
        "Vary": ["a", "b", "c"],
        "Set-Cookie": [X, X],
        "AUTHORIZATION": X,
        "Location": f"https://{X}@x/y?token={X}&n=1#id_token={X}",
        "X-Data": f'{{"password": "{X}", "n": 1}}',
        "X-Next": f"Bearer {X}",
        X: "1",
        "Accept": ["*/*;q=0.8", "*/*;q=0.8"],
    }


def test_args_keep_all_of_each_name() -> None:
    redactor = Redactor()
    assert redactor.args("a=1&b=&a=2&c=%ff&next=%2Fx%3Ftoken%3Dq&a=3&Pin=1&Pin=2") == {
        "a": ["1", "2", "3"],
        "b": "",
        "c": "\ufffd",
        "next": f"/x?token={X}",
        "Pin": [X, X],
    }
    assert redactor.args("f[0][name]=password&f[0][value]=x&page=1") == {
        "f[0][name]": "password",
        "f[0][value]": X,
        "page": "1",
    }
    assert redactor.args("q[]=token&q[]=x&page=1&q[]=y") == {"q[]": ["token", X, "y"], "page": "1"}
    assert redactor.args("=pin&=x") == {"": ["pin", X]}
    assert redactor.args(JWT) == {X: ""}
    assert redactor.args("q=a;token=b") == {"q": f"a;token={X}"}
    assert redactor.args('{"password":"x"}') == {f'{{"password":"{X}"}}': X}
    assert redactor.args("") == {}


def test_emails_are_hidden_on_request() -> None:
    redactor = Redactor(emails=True)
    assert redactor.document({"to": "ann@example.com", "n": "a@b"}) == {"to": X, "n": "a@b"}
    assert redactor.url("/?to=ann@example.com&n=1") == f"/?to={X}&n=1"
    assert redactor.url("/?to=ann%40example.com") == f"/?to={X}"
    assert redactor.text("to ann@example.com") == f"to {X}"
    assert redactor.args("to=ann@example.com") == {"to": X}
    assert redactor.headers([("From", "Ann <ann@example.com>")]) == {"From": f"Ann <{X}>"}


def test_the_callable_sees_each_value_that_is_kept_with_its_path() -> None:
    seen: dict[str, Any] = {}
    redactor = Redactor(custom=seen.setdefault)
    redactor.document({"user": {"ssn": 1, "name": "Ann"}, "n": [1, {"x": None}], "t": "token=x"}, "request.body")
    redactor.document("text", "response.body")
    redactor.headers([("X-Custom", "1"), ("Cookie", "a")], "request.headers")
    redactor.args("page=1&pin=2", "request.args")
    redactor.url("https://x/?pin=1")
    redactor.url("https://y/", "client.referer")
    redactor.text("a pin=1", "error.message")
    assert seen == {
        "request.body.user.name": "Ann",
        "request.body.n.0": 1,
        "request.body.n.1.x": None,
        "request.body.t": f"token={X}",
        "response.body": "text",
        "request.headers.X-Custom": "1",
        "request.args.page": "1",
        "url": f"https://x/?pin={X}",
        "client.referer": "https://y/",
        "error.message": f"a pin={X}",
    }


@pytest.mark.parametrize("shown", [None, True, 1, 0.5, "y", [1, {"a": None}], {"a": [1]}])
def test_what_the_callable_returns_is_shown(shown: Any) -> None:
    redactor = Redactor(custom=lambda _path, _value: shown)
    assert redactor.document({"a": {"b": 1}}) == {"a": {"b": shown}}
    assert redactor.document(1) == shown
    assert redactor.text("x") == (shown if isinstance(shown, str) else X)


class Unlike:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    __hash__ = None  # type: ignore[assignment]  # as of whatever defines __eq__ alone


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize("wrong", [object(), (1, 2), {1, 2}, b"x", [object()], {"a": 1j}, "\ud800", LOOP, Unlike()])
def test_what_is_no_json_is_hidden_and_told(wrong: Any) -> None:
    failures: list[BaseException] = []
    redactor = Redactor(custom=lambda _path, _value: wrong, failed=failures.append)
    assert redactor.document({"a": 1}) == {"a": X}
    assert redactor.url("/x") == X
    assert len(failures) == 2


def recurse(path: str, value: Any) -> Any:
    return recurse(path, value)


def leave(path: str, value: Any) -> Any:
    raise SystemExit(path, value)


def raises(path: str, value: Any) -> Any:
    raise ValueError(path, value)


@pytest.mark.parametrize(("custom", "kind"), [(raises, ValueError), (leave, SystemExit), (recurse, RecursionError)])
def test_a_callable_that_fails_hides_what_it_was_asked_for(custom: Any, kind: type[BaseException]) -> None:
    failures: list[BaseException] = []
    redactor = Redactor(custom=custom, failed=failures.append)
    assert redactor.document({"a": 1, "b": ["x"]}) == {"a": X, "b": [X]}
    assert redactor.headers([("a", "1")]) == {"a": X}
    assert redactor.args("a=1") == {"a": X}
    assert redactor.text("a") == X
    assert [type(failure) for failure in failures] == [kind] * 5
    assert Redactor(custom=custom).text("a") == X


def test_nobody_has_to_take_the_news_of_a_failure() -> None:
    def failed(error: BaseException) -> None:
        raise error

    assert Redactor(custom=leave, failed=failed).document([1]) == [X]


def test_what_is_remembered_is_bounded() -> None:
    redactor = Redactor()
    for number in range(5000):
        redactor.document({f"name {number}": 1})
        redactor.text(f"text {number}")
    redactor.text("a" * 10_000)
    redactor.is_sensitive("a" * 10_000)
    remembered: list[dict[str, Any]] = [redactor._names, redactor._fields, redactor._harmless]
    assert all(len(known) <= 2048 for known in remembered)
    assert all(len(text) <= 256 for known in remembered for text in known)
    assert redactor.is_sensitive("b" * 10_000 + "token")


def test_one_redactor_serves_many_threads() -> None:
    redactor, wrong = Redactor(), []

    def work(thread: int) -> None:
        for number in range(1500):
            shown = redactor.document(
                {f"n{thread}-{number}": "x", f"token{number}": SECRET, "t": f"pin={number}{SECRET}"}
            )
            if SECRET in str(shown):
                wrong.append(shown)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


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
