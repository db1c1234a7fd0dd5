"""Answers that a WSGI server treats in a way of their own: those that have a length, and files that it sends itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["SizedAnswer", "call_when_closed", "rest_of_file"]


class SizedAnswer:
    """The answer ``watched``, with the length of ``result``, by which servers tell that one chunk is all."""

    __slots__ = ("_result", "_watched")

    def __init__(self, watched: Any, result: list[bytes]) -> None:
        self._watched: Iterable[bytes] = watched
        self._result = result

    def __len__(self) -> int:
        return len(self._result)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._watched)

    def close(self) -> None:
        """Close what is watched."""
        self._watched.close()  # type: ignore[attr-defined]  # it has one


def call_when_closed(result: Any, told: Callable[[None], object]) -> bool:
    """Call ``told(None)`` when ``result`` is closed; False when its ``close`` cannot be replaced."""
    close = getattr(result, "close", None)

    def observed_close() -> None:
        try:
            if close is not None:
                close()
        finally:
            told(None)

    try:
        result.close = observed_close
    except (AttributeError, TypeError):
        return False
    return True


def rest_of_file(file: Any) -> int | None:
    """Bytes from where a file is read to its end; None where nobody knows."""
    try:
        return max(0, os.fstat(file.fileno()).st_size - int(file.tell()))
    except Exception:  # noqa: BLE001 - the host's file may be anything
        return None
