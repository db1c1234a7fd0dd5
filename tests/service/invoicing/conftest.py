"""A shop that is billed, in memory and on SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.billing_shop import BillingShop
from support.stores import store_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["memory", "sqlite"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BillingShop]:
    shop = BillingShop(store_url(request.param, tmp_path))
    yield shop
    shop.close()


@pytest.fixture
def memory() -> BillingShop:
    return BillingShop("memory:")
