"""The whole application on a real socket, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.running import Api, running
from support.stores import store_url
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Api"]


@pytest.fixture
def engine() -> str:
    """SQLite, save in the modules that fix another: how engines differ is for tests/store and tests/service to say."""
    return "sqlite"


@pytest.fixture
def settings(engine: str, tmp_path: Path) -> Settings:
    return Settings(
        store=store_url(engine, tmp_path), max_body_bytes=100_000, max_batch_events=50, max_event_bytes=5_000
    )


@pytest.fixture
def api(settings: Settings) -> Iterator[Api]:
    with running(settings) as api:
        yield api
