"""A service on each engine, and a gate with a clock of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.gated import Gated
from support.stores import ENGINES, store_url
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=ENGINES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    service = open_service(Settings(store=store_url(request.param, tmp_path)))
    yield service
    service.close()


@pytest.fixture
def memory() -> Service:
    return open_service(Settings(store="memory:"))


@pytest.fixture(params=["memory"])
def gated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gated]:
    found = Gated(store_url(request.param, tmp_path))
    yield found
    found.close()
