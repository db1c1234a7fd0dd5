"""What a case is: what the client sends and how, and what the event must tell of it."""

from __future__ import annotations

import os
from typing import Any, Literal

from msgspec import Struct

__all__ = ["HOST", "OLDEST", "Case", "Request", "Run"]

HOST = "shop.test"
OLDEST = "TOLLKEEPER_TEST_OLDEST"

Way = Literal["whole", "in turn", "slow", "expect", "cut", "gated", "gone", "background", "websocket"]
"""How a case is sent and read.

whole: everything at once, then read to the end; in turn: each request when the answer to the one before is there; slow:
the second half of the body when the app waits for it; expect: the body when the server asks for it; cut: the client
ends before its body does; gated: the app makes a chunk when the client has the one before; gone: the client leaves in
the middle of the answer; background: the app works on when the answer is out; websocket: a handshake, one message, an
end.
"""
ON_A_SOCKET = {"expect"}


class Request(Struct, frozen=True):
    """A request; ``body`` is sent with its length, or chunked when a tuple. ``promised`` is a length that is wrong."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | tuple[bytes, ...] | None = None
    version: str = "1.1"
    promised: int | None = None

    def all_headers(self, agent: str, gate: int | None, *, last: bool) -> list[tuple[str, str]]:
        """The headers as they are sent, in order; ``agent`` is how the event of a request is found."""
        headers = [("Host", HOST), ("User-Agent", agent), *self.headers]
        if gate is not None:
            headers.append(("X-Gate", str(gate)))
        if isinstance(self.body, tuple):
            headers.append(("Transfer-Encoding", "chunked"))
        elif self.body is not None:
            headers.append(("Content-Length", str(self.promised or len(self.body))))
        if last and not any(name == "Connection" for name, _ in headers):
            headers.append(("Connection", "close"))
        return headers

    def head(self, agent: str, gate: int | None = None, *, last: bool = True) -> bytes:
        """The bytes before the body."""
        lines = [f"{self.method} {self.target} HTTP/{self.version}"]
        lines += [f"{name}: {value}" for name, value in self.all_headers(agent, gate, last=last)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def content(self) -> bytes:
        """The body as the app is to get it."""
        return b"".join(self.body) if isinstance(self.body, tuple) else self.body or b""

    def framed(self) -> bytes:
        """The bytes of the body as they are sent."""
        if not isinstance(self.body, tuple):
            return self.content()
        return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in self.body) + b"0\r\n\r\n"


class Run(Struct, frozen=True):
    """Where a case is run: a door, what it stands on (``wsgi`` or ``asgi``), and a server or ``process``."""

    door: str
    app: str
    kind: str
    place: str

    def __str__(self) -> str:
        return f"{self.door} {self.place}"

    @property
    def tags(self) -> set[str]:
        """The names by which the table of cases speaks of this run."""
        tags = {self.kind, self.door, self.place, self.place.partition("-")[0]}
        return tags | {f"oldest {self.door}"} if os.environ.get(OLDEST) else tags


class Case(Struct, frozen=True, kw_only=True):
    """One row of the table.

    ``expect`` tells parts of each event by their dotted names, besides what follows from the request and the answer;
    ``but`` tells what differs where, by door, kind or place, and ``without`` where the case cannot be, and why.
    ``only`` names the one door that shows a corner of its protocol which frameworks hide; of those ``unanswered`` the
    server answers in their stead. ``events`` in both is how many there must be, if not as many as answers.
    """

    name: str
    requests: tuple[Request, ...]
    way: Way = "whole"
    expect: dict[str, Any] = {}
    but: dict[str, dict[str, Any]] = {}
    without: dict[str, str] = {}
    only: str | None = None
    unanswered: tuple[str, ...] = ()

    @property
    def agent(self) -> str:
        """The user agent of its requests."""
        return f"case/{self.name.replace(' ', '-')}"

    def fits(self, run: Run) -> bool:
        """Whether it can be run there."""
        if run.place.startswith("process") and self.way in ON_A_SOCKET:
            return False
        return self.only in {None, run.door} and not run.tags & self.without.keys()

    def expected(self, run: Run) -> dict[str, Any]:
        """What the events must tell there."""
        expected = dict(self.expect)
        for tag, parts in self.but.items():
            if tag in run.tags:
                expected |= parts
        return expected
