"""A line between an app and the client that tests it: the app waits for the client's word, and tells it things."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Self

__all__ = ["AsyncGate", "Gate"]

SECONDS = 10

# A gate that a forgotten generator holds must live until the generator is closed: a socket closes itself before that.
_held: set[Gate] = set()


class Gate:
    """The app's end. Without a port nobody waits and nobody is told: the client only wants the answer."""

    def __init__(self, port: str | None) -> None:
        self._line = socket.create_connection(("127.0.0.1", int(port)), timeout=SECONDS) if port else None

    def __enter__(self) -> Self:
        _held.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        _held.discard(self)
        if self._line is not None:
            self._line.close()

    def wait(self) -> None:
        """Go on when the client says so; raises TimeoutError when it never does."""
        self.tell("waiting")
        if self._line is not None and not self._line.recv(1):
            raise ConnectionError("The client has gone.")

    def tell(self, word: str) -> None:
        """Let the client know."""
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.sendall(f"{word}\n".encode())


class AsyncGate(Gate):
    """The same on an event loop."""

    async def until_open(self) -> None:
        """Go on when the client says so."""
        if self._line is not None:
            await asyncio.to_thread(self.wait)
