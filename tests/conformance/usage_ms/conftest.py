"""The service over HTTP, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.running import Api, running
from support.stores import DURABLE, store_url
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=DURABLE)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def api(engine: str, tmp_path: Path) -> Iterator[Api]:
    with running(Settings(store=store_url(engine, tmp_path))) as api:
        yield api
