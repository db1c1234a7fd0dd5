from __future__ import annotations

import gc
import weakref
from typing import Any

from tollkeeper.capture.failure import note_failure, tell_failure


def caught(function: Any) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever the case raises
        return error
    raise AssertionError


def fails() -> None:
    raise ValueError("boom")


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
    error = tell_failure(note_failure(caught(fails)), str)
    assert (error.type, error.message) == ("ValueError", "boom")
    assert error.traceback.splitlines()[-1] == '    raise ValueError("boom")'
    assert "in fails" in error.traceback


def test_what_led_to_it_is_told_first() -> None:
    text = tell_failure(note_failure(caught(chained)), str).traceback
    assert text.index("ValueError: boom") < text.index("which led to:") < text.index('raise KeyError("outer")')


def test_of_a_group_the_first_exception_is_told() -> None:
    text = tell_failure(note_failure(BaseExceptionGroup("many", [caught(fails), KeyError()])), str).traceback
    assert "ValueError: boom" in text


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert note_failure(first).cause is not None


def test_a_deep_recursion_keeps_its_ends() -> None:
    failure = note_failure(caught(recurses))
    assert len(failure.frames) == 50
    text = tell_failure(failure, str).traceback
    assert "  …" in text
    assert "in caught" in text
    assert len(text) <= 8192


def test_an_exception_that_cannot_be_shown_is_told_by_its_type() -> None:
    error = tell_failure(note_failure(caught(odd)), str)
    assert error.type.endswith(".Odd")
    assert error.message == "Odd"


def test_texts_are_cut_and_secrets_hidden() -> None:
    failure = note_failure(ValueError("x" * 9000))
    assert len(tell_failure(failure, str).message) == 8192
    assert tell_failure(failure, lambda _: "hidden").message == "hidden"


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
