"""Many clients that race for one quota over HTTP, each on a connection of its own."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from support.gate_shop import KEY, sell

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["KEY", "Racer", "sell_quota"]

TIMEOUT, PATIENCE = 5.0, 60.0


def sell_quota(url: str, token: str, quota: int) -> None:
    """Sell so many calls a year to the customer with the key; what cannot be decided is refused."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as admin:
        sell(admin, limits=[{"limit": quota, "period": "year"}], on_failure="deny")


class Racer:
    """One client; ``admitted`` counts the calls that it was told it may make, ``lost`` those without an answer."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.admitted = 0
        self.lost = 0
        self.last = (0, b"")
        self._urls = urls
        self._turn = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask_until_denied(self) -> None:
        """Ask for one call after the other, counted at once, until there is no room."""
        while (await self._check(reserve=False))[0] == httpx.codes.OK:
            self.admitted += 1
        self._close()

    async def ask_until_denied_for(self, seconds: float) -> None:
        """The same until there was no room for some time: what a dead worker held comes back."""
        deadline = denied_until = time.monotonic() + PATIENCE
        while time.monotonic() < min(deadline, denied_until):
            status, _ = await self._check(reserve=False)
            if status == httpx.codes.TOO_MANY_REQUESTS:
                denied_until = min(denied_until, time.monotonic() + seconds)
                await asyncio.sleep(0.05)
            else:
                self.admitted += status == httpx.codes.OK
                denied_until = deadline
        self._close()

    async def call_until_denied(self) -> None:
        """Reserve a call, make it, report it, and again, until there is no room; who dies meanwhile is waited for."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status, _ = await self._check(reserve=True)
            if status == httpx.codes.TOO_MANY_REQUESTS:
                break
            if status == httpx.codes.OK:
                self.admitted += 1
                await self._report(deadline)
        self._close()

    async def _check(self, *, reserve: bool) -> tuple[int, bytes]:
        self.last = await self._ask(
            "/v1/gate/check", {"key": KEY, "api": "orders", "endpoint": "/orders", "reserve": reserve}
        )
        self.lost += self.last[0] == 0
        return self.last

    async def _report(self, deadline: float) -> None:
        report = {"id": str(uuid.uuid4()), "apiName": "orders", "apiversion": "v1", "endPointName": "/orders"}
        rest = {"clientIPAdress": "203.0.113.7", "httpStatusCode": 200, "timeTakenInMilliSeconds": 1}
        while (await self._ask("/v1/usage", report | rest))[0] != httpx.codes.ACCEPTED:
            assert time.monotonic() < deadline, "a report was never acknowledged"

    async def _ask(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        """The status of the answer and its body; 0 when there was none."""
        try:
            return await asyncio.wait_for(self._exchange(path, json.dumps(body).encode()), TIMEOUT)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self._close()
            self._turn += 1
            await asyncio.sleep(0.02)
            return 0, b""

    async def _exchange(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            parts = urlsplit(self._urls[self._turn % len(self._urls)])
            self._streams = await asyncio.open_connection(parts.hostname, parts.port)
        reader, writer = self._streams
        head = f"POST {path} HTTP/1.1\r\nHost: gate\r\napiKey: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(answer[9:12]), await reader.readexactly(length)

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
