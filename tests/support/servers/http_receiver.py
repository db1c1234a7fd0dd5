"""An HTTP endpoint of somebody's own, in a process of its own: it keeps what is posted to it with the right token."""

from __future__ import annotations

import http.client
import sys
from pathlib import Path

from support.servers.process import ServerProcess, free_port, private_folder

__all__ = ["HTTPReceiver"]

SERVER = Path(__file__).with_name("http_receiver_server.py")
TOKEN = "tests' own"


class HTTPReceiver:
    """``bodies()`` are what came so far, unpacked; ``process`` can be stopped."""

    def __init__(self) -> None:
        folder, port = private_folder(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.token = TOKEN
        self._file = folder / "bodies"
        self._file.touch()
        self.process = ServerProcess([sys.executable, SERVER, self._file, str(port), TOKEN], lambda: _ask(port), folder)
        self.process.start()

    def bodies(self) -> list[bytes]:
        """All bodies that were acknowledged, and those whose acknowledgement was lost."""
        return [bytes.fromhex(line) for line in self._file.read_text(encoding="ascii").splitlines()]


def _ask(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        assert connection.getresponse().status == http.client.OK
    finally:
        connection.close()
