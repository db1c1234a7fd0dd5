"""The life of an ASGI application around its requests, as a server lets it live."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["Lifespan"]

SECONDS = 10


class Lifespan:
    """Starts an application and stops it; one that knows no lifespan lives all the same."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._told: asyncio.Queue[str] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def start(self) -> None:
        """Let it start."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.create_task(self._app(scope, self._asked.get, self._keep))
        await self._ask("lifespan.startup")

    async def stop(self) -> None:
        """Let it stop."""
        await self._ask("lifespan.shutdown")

    async def _keep(self, message: dict[str, Any]) -> None:
        await self._told.put(message["type"])

    async def _ask(self, message: str) -> None:
        assert self._task is not None
        await self._asked.put({"type": message})
        told = asyncio.create_task(self._told.get())
        await asyncio.wait({told, self._task}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            assert told.result() == f"{message}.complete"
        else:
            told.cancel()
            assert isinstance(self._task.exception(), Exception)  # how an app says that it knows none
