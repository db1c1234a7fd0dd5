"""Secrets that show by the elements of XML or HTML around them, or right before them.

``<token>x</token>``, ``<item key="token">x</item>``, ``<name>token</name><value>x</value>``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.events.secret_extents import value_span
from tollkeeper.events.secret_fields import CAN_BETRAY, betrayed_by, field_role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["find_elements"]

START_TAG = re.compile(r"<([\w:.-]++)([^<>]*+)>")
TEXT_ONLY = re.compile(r"([^<>]{1,256}+)</[^<>]{1,128}+>\s*+")
ATTRIBUTE = re.compile(r"(?<![\w:.-])([\w:.-]++)\s*+=")


def find_elements(text: str, sensitive: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Where the content of elements stands whose name, or the value of an attribute, is a sensitive name."""
    unclosed: set[str] = set()
    end = behind = named = 0
    for tag in START_TAG.finditer(text):
        name, rest = tag.groups()
        if tag.start() < end or rest.endswith("/"):
            continue
        local = name.rpartition(":")[2]
        role = field_role(local)
        betrayed = (tag.start() == behind and role & named) or any(
            betrayed_by(field_role(found[1]), rest[slice(*value_span(rest, found.end(), "word"))], sensitive)
            for found in ATTRIBUTE.finditer(rest)
        )
        said = TEXT_ONLY.match(text, tag.end()) if role & CAN_BETRAY else None
        if said:
            behind, named = said.end(), betrayed_by(role, said[1].strip(), sensitive)
        if not betrayed and not sensitive(local):
            continue
        end = -1 if name in unclosed else text.find(f"</{name}", tag.end())
        if end < 0:
            unclosed.add(name)
            if rest and not betrayed:
                continue  # the repr of some object: <Session object at 0x7f>
            end = -1 if text.startswith("<!", tag.end()) else text.find("<", tag.end())
        end = len(text) if end < 0 else end
        if end > tag.end():
            yield tag.end(), end
