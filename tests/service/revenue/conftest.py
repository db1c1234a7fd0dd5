"""A shop that was billed, which tests only read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.billed import Billed, open_billed
from support.stores import store_url
from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


class Shop(NamedTuple):
    service: Service
    ids: Billed


@pytest.fixture(scope="package", params=["memory", "sqlite"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    url = store_url(request.param, tmp_path_factory.mktemp("billed"))
    service = open_service(Settings(store=url, seller_name="Orders Ltd"))
    yield Shop(service, open_billed(service))
    service.close()
