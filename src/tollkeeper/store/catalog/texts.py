"""Texts that every database can keep and look for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.errors import UnprocessableError

if TYPE_CHECKING:
    from msgspec import Struct

__all__ = ["check_texts", "is_storable"]

UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def check_texts(record: Struct) -> None:
    """Refuse a record with a text that not every database can keep; raises UnprocessableError."""
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, str) and not is_storable(value):
            raise UnprocessableError(
                f"{name} has a character that cannot be kept, NUL or a lone surrogate: leave it out."
            )


def is_storable(value: object) -> bool:
    """Whether every database can look for a value; none has a text with a NUL or a lone surrogate."""
    return not isinstance(value, str) or UNSTORABLE.search(value) is None
