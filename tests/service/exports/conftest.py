"""A shop that was billed, which tests only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.billed import open_billed
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def service() -> Iterator[Service]:
    service = open_service(Settings(store="memory:", seller_name="Orders Ltd"))
    open_billed(service)
    yield service
    service.close()
