"""Bodies that the plain ASGI routes read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tollkeeper.api.raw import read_body
from tollkeeper.errors import InvalidRequestError


def test_a_body_that_its_sender_left_in_the_middle_is_none() -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return messages.pop(0)

    with pytest.raises(InvalidRequestError, match="connection ended"):
        asyncio.run(read_body(receive, b"", 10))
