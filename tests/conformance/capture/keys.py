"""The client's end of the line to an app: it hears what the app tells, and lets it go on."""

from __future__ import annotations

import socket
import threading
import time
from typing import Self

__all__ = ["Keys"]

SECONDS = 10
PAUSE = 0.03


class Keys:
    """Listens on a free port, for one app to connect to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self._line: socket.socket | None = None
        self._opening: threading.Thread | None = None
        self.opened = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opening is not None:
            self._opening.join(2 * SECONDS)
        if self._line is not None:
            self._line.close()
        self._listener.close()

    def meet(self) -> socket.socket:
        """Wait until the app is there."""
        if self._line is None:
            self._line, _ = self._listener.accept()
            self._line.settimeout(SECONDS)
        return self._line

    def open(self) -> None:
        """Let the app go on, after a pause that its duration must contain."""
        line = self.meet()
        time.sleep(PAUSE)
        self.opened = time.perf_counter()
        line.sendall(b".")

    def open_when_it_waits(self) -> None:
        """Do so in a thread, as soon as the app says that it waits."""

        def work() -> None:
            self.meet().recv(64)
            self.open()

        self._opening = threading.Thread(target=work)
        self._opening.start()

    def heard(self) -> str:
        """What the app told until it hung up, without what was heard already."""
        if self._opening is not None:
            self._opening.join(2 * SECONDS)
        line, told = self.meet(), b""
        while chunk := line.recv(64):
            told += chunk
        return told.decode()
