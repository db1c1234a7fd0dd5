from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _usual_level() -> Iterator[None]:
    """What other tests have made of the root logger is nothing to these."""
    logger = logging.getLogger("flask_chest")
    logger.setLevel(logging.WARNING)
    yield
    logger.setLevel(logging.NOTSET)
