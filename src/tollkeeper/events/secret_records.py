"""Secrets in a text whose name is a value itself, ``{"name": "token", "value": "x"}``, or an element of XML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.events.secret_extents import value_span
from tollkeeper.events.secret_fields import betrayed_by, field_role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["find_records"]

TOKEN = re.compile(
    r"<(?P<tag>/?[\w:.-]*+)|[{}>]"
    r"|(?<![\w.\[\]-])(?P<name>[\w.\[\]-]{1,128}+)[\"'\\]*+\s*+(?P<sign>=>?|:)\s*+"
    r"(?:\\*+[\"'](?P<quoted>[^\"'\n]{2,128}+)|(?P<bare>[^\s&,;<>{}\[\]\"'\\]{2,128}+))?"
)
OPENS = {"}": "{", ">": "<"}


class Group:
    """What is known of the fields between two brackets: where their values begin, and which are to be hidden."""

    __slots__ = ("betrayed", "fields", "opening", "tag")

    def __init__(self, opening: str = "", tag: str = "") -> None:
        self.opening = opening
        self.tag = tag
        self.betrayed = 0
        self.fields: list[tuple[int, int]] = []

    def hidden(self, text: str) -> Iterator[tuple[int, int]]:
        """The spans of the values to hide."""
        for role, at in self.fields:
            if role & self.betrayed:
                start, end = value_span(text, at, "word", literal=True)
                if end > start:
                    yield start, end


def find_records(text: str, sensitive: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Where values stand that a field beside them, or the element around them, says to be secret."""
    groups = [Group()]
    unclosed: set[str] = set()
    done = 0
    for token in TOKEN.finditer(text):
        sign = token[0][0]
        if token["name"]:
            role = field_role(token["name"])
            if role:
                groups[-1].betrayed |= betrayed_by(role, token["quoted"] or token["bare"], sensitive)
                groups[-1].fields.append((role, token.end("sign")))
        elif sign in "{<":
            groups.append(Group(sign, token["tag"] or ""))
        else:
            for group in _closed(groups, sign):
                yield from group.hidden(text)
                if sign == ">" and token.start() >= done and _is_secret(group, sensitive):
                    start, done = _content(text, group, token.start(), unclosed)
                    if done > start:
                        yield start, done
    for group in groups:
        yield from group.hidden(text)


def _closed(groups: list[Group], sign: str) -> list[Group]:
    """Take off the groups that a bracket closes: a lone ``>`` closes nothing, and a lone ``<`` is closed by ``}``."""
    closed = []
    while sign == "}" and groups[-1].opening == "<":
        closed.append(groups.pop())
    if groups[-1].opening == OPENS[sign]:
        closed.append(groups.pop())
    return closed


def _is_secret(group: Group, sensitive: Callable[[str], bool]) -> bool:
    return bool(group.tag) and (bool(group.betrayed) or sensitive(group.tag.rpartition(":")[2]))


def _content(text: str, group: Group, at: int, unclosed: set[str]) -> tuple[int, int]:
    """The span that the element holds whose start tag ends at ``at``; empty when there is none."""
    start, tag = at + 1, group.tag
    if text[at - 1] == "/":
        return start, start
    end = -1 if tag in unclosed else text.find(f"</{tag}", at)
    if end < 0:
        unclosed.add(tag)
        if not group.betrayed and not text.endswith(tag, 0, at):
            return start, start  # the repr of some object: <Session object at 0x7f>
        end = text.find("<", at)
    return start, len(text) if end < 0 else end
