"""Fields that name another: of ``{"name": "token", "value": "x"}`` the first tells what the second holds."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CAN_BETRAY", "CAN_HOLD", "betrayed_by", "field_role", "may_be_name"]

NAMES, TYPES, HOLDS, MAY_HOLD = 1, 2, 4, 8
CAN_BETRAY = NAMES | TYPES
"""The roles of fields whose value may be a sensitive name."""

CAN_HOLD = HOLDS | MAY_HOLD
"""The roles of fields that may hold what another one names."""

ROLES = [
    (NAMES, re.compile(r".*(?:name|key|field|param(?:eter)?|header|attribute|property|variable|label|option)|id|k|n")),
    (TYPES, re.compile(r".*(?:type|kind)|path|pointer")),
    (HOLDS, re.compile(r".*value.*|val|v")),
    (MAY_HOLD, re.compile(r"contents?|data|text|body|old|new|current|previous|before|after|default|input|result")),
]
STEP = re.compile(r"[.\[\]]+")
SEPARATOR = re.compile(r"[\W_]+")
LONG, LONG_STEP = 256, 64
BLANKS = 3


def field_role(name: str) -> int:
    """What a field does, by the last step of its name (``items[0][value]``); 0 for most fields."""
    return _role(name[-LONG_STEP:])


@lru_cache(maxsize=4096)
def _role(name: str) -> int:
    plain = SEPARATOR.sub("", STEP.split(name.rstrip("]"))[-1]).lower()
    return next((role for role, pattern in ROLES if pattern.fullmatch(plain)), 0)


def betrayed_by(role: int, held: Any, sensitive: Callable[[str], bool]) -> int:
    """The roles of the fields beside it that are to be hidden, because of what a field of this role holds."""
    if not role & CAN_BETRAY or not may_be_name(held) or not sensitive(held):
        return 0
    return CAN_HOLD if role & NAMES else HOLDS


def may_be_name(held: Any) -> bool:
    """Whether a value is short enough to be the name of something, rather than prose about it."""
    return isinstance(held, str) and len(held) <= LONG and held.count(" ") <= BLANKS
