"""What the app raised, noted without keeping it: an exception holds the frames and locals of the request alive."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING

from msgspec import Struct

from tollkeeper.events.event import Error

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Failure", "note_failure", "tell_failure"]

MAX_CHARS = 8192
MAX_FRAMES = 50
MAX_LINE = 512
MAX_CAUSES = 4
MAX_TYPE = 255
LEFT_OUT = ("…", 0, "")


class Failure(Struct, kw_only=True, gc=False):
    """An exception as texts and line numbers; ``frames`` are (file, line, function), oldest first."""

    type: str
    message: str
    shown: str
    frames: list[tuple[str, int, str]]
    cause: Failure | None = None


def note_failure(error: BaseException) -> Failure:
    """Take down an exception, and what it came of, in some microseconds; never raises."""
    noted = first = _note(error)
    seen = {id(error)}
    current = error
    for _ in range(MAX_CAUSES):
        cause = _cause(current)
        if cause is None or id(cause) in seen:
            break
        seen.add(id(cause))
        noted.cause = _note(cause)
        noted, current = noted.cause, cause
    return first


def _cause(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):  # of a task group: the group says nothing, what is in it does
        return error.exceptions[0]
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _note(error: BaseException) -> Failure:
    frames = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        frames.append((code.co_filename, step.tb_lineno, code.co_qualname))
        if len(frames) > MAX_FRAMES:  # a deep recursion: keep where it began and where it ended
            frames[MAX_FRAMES // 2 - 1 : MAX_FRAMES // 2 + 1] = [LEFT_OUT]
        step = step.tb_next
    kind = type(error)
    return Failure(
        type=kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}",
        message=_text(str, error),
        shown=_text(repr, error),
        frames=frames,
    )


def _text(show: Callable[[object], str], error: BaseException) -> str:
    try:
        return show(error)[:MAX_CHARS].encode("utf-8", "replace").decode()
    except Exception:  # noqa: BLE001 - the host's own __str__ and __repr__ may do anything
        return type(error).__name__


def tell_failure(failure: Failure, hide: Callable[[str, str], str]) -> Error:
    """Write a failure out, with the source lines where they can be read; ``hide(text, path)`` takes the secrets out."""
    return Error(
        type=failure.type[:MAX_TYPE],
        message=hide(failure.message, "error.message")[:MAX_CHARS],
        traceback=_end(hide(_traceback(failure), "error.traceback")),
    )


def _traceback(failure: Failure) -> str:
    lines = _frames(failure)
    cause = failure.cause
    while cause is not None:
        lines = [*_frames(cause), f"{cause.type}: {cause.message}", "which led to:", *lines]
        cause = cause.cause
    return "\n".join(lines)


def _end(text: str) -> str:
    # Cut when the secrets are hidden: a cut before that could part one from its name, and the marker may be longer.
    return text if len(text) <= MAX_CHARS else f"…{text[-MAX_CHARS + 1 :]}"


def _frames(failure: Failure) -> list[str]:
    lines = []
    for file, line, function in failure.frames:
        lines.append(f'  File "{file[:MAX_LINE]}", line {line}, in {function[:MAX_LINE]}' if line else "  …")
        source = linecache.getline(file, line).strip()[:MAX_LINE] if line else ""
        if source:
            lines.append(f"    {source}")
    return lines
