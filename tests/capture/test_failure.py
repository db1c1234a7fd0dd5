from __future__ import annotations

import gc
import weakref
from functools import partial
from typing import Any

import pytest

from tollkeeper.capture.failure import note_failure, tell_failure
from tollkeeper.capture.redact import Redactor


def shown(text: str, _at: str) -> str:
    return text


def caught(function: Any) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever the case raises
        return error
    raise AssertionError


def fails() -> None:
    raise ValueError("boom")


def throw(error: Exception) -> None:
    raise error


def chained() -> None:
    try:
        fails()
    except ValueError as error:
        raise KeyError("outer") from error


def recurses(depth: int = 900) -> None:
    if depth == 0:
        raise LookupError("deep")
    recurses(depth - 1)


class Odd(Exception):  # noqa: N818 - it is no error of ours
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def odd() -> None:
    raise Odd


def test_type_message_and_traceback() -> None:
    error = tell_failure(note_failure(caught(fails)), shown)
    assert (error.type, error.message) == ("ValueError", "boom")
    assert error.traceback.splitlines()[-1] == '    raise ValueError("boom")'
    assert "in fails" in error.traceback


def test_what_led_to_it_is_told_first() -> None:
    text = tell_failure(note_failure(caught(chained)), shown).traceback
    assert text.index("ValueError: boom") < text.index("which led to:") < text.index('raise KeyError("outer")')


def test_of_a_group_the_first_exception_is_told() -> None:
    text = tell_failure(note_failure(BaseExceptionGroup("many", [caught(fails), KeyError()])), shown).traceback
    assert "ValueError: boom" in text


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert note_failure(first).cause is not None


def test_a_deep_recursion_keeps_its_ends() -> None:
    failure = note_failure(caught(recurses))
    assert len(failure.frames) == 50
    text = tell_failure(failure, shown).traceback
    assert "  …" in text
    assert "in caught" in text
    assert len(text) <= 8192


def test_an_exception_that_cannot_be_shown_is_told_by_its_type() -> None:
    error = tell_failure(note_failure(caught(odd)), shown)
    assert error.type.endswith(".Odd")
    assert error.message == "Odd"


def test_texts_are_cut_and_secrets_hidden() -> None:
    failure = note_failure(ValueError("x" * 9000))
    assert len(tell_failure(failure, shown).message) == 8192
    assert tell_failure(failure, lambda _text, at: f"hidden {at}").message == "hidden error.message"


@pytest.mark.parametrize("spaces", range(0, 60, 7))
def test_no_cut_parts_a_secret_from_its_name(spaces: int) -> None:
    error = ValueError()
    error.__cause__ = KeyError(" " * spaces + "password=hunter2 " * 500)
    text = tell_failure(note_failure(caught(partial(throw, error))), Redactor().text).traceback
    assert "password=[REDACTED]" in text
    assert "hunter2" not in text


def test_a_traceback_is_within_its_limit_though_markers_are_longer_than_secrets() -> None:
    error = ValueError()
    error.__cause__ = KeyError("pin=1 " * 1300)
    text = tell_failure(note_failure(caught(partial(throw, error))), Redactor().text).traceback
    assert len(text) == 8192
    assert text.endswith("raise error")


def test_nothing_of_the_request_is_kept_alive() -> None:
    class Big:
        pass

    def holds() -> None:
        big = Big()
        watched.append(weakref.ref(big))
        raise ValueError

    watched: list[weakref.ref[Big]] = []
    failure = note_failure(caught(holds))
    gc.collect()
    assert watched[0]() is None
    assert failure.type == "ValueError"
