"""Serve MongoDB's wire protocol: run under a Python that has mongoeco, with port, file, user and password."""

from __future__ import annotations

import asyncio
import sys

from mongoeco.engines.sqlite import SQLiteEngine  # type: ignore[import-not-found]  # only where it runs
from mongoeco.wire.auth import WireAuthUser  # type: ignore[import-not-found]  # only where it runs
from mongoeco.wire.proxy import AsyncMongoEcoProxyServer  # type: ignore[import-not-found]  # only where it runs


async def main() -> None:
    port, file, user, password = sys.argv[1:]
    async with AsyncMongoEcoProxyServer(
        engine=SQLiteEngine(file), host="127.0.0.1", port=int(port), auth_users=(WireAuthUser(user, password),)
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
