"""Threads that work until a block ends."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Self

__all__ = ["Threads"]


class Threads(ABC):
    """Runs ``work`` in so many threads; it has to come to its end soon after ``ending`` is set."""

    def __init__(self, count: int) -> None:
        self.ending = threading.Event()
        self._threads = [threading.Thread(target=self.work, daemon=True) for _ in range(count)]

    @abstractmethod
    def work(self) -> None: ...

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        for thread in self._threads:
            thread.join(30)
