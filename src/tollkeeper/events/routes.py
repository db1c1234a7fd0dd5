"""From raw paths to route templates, so that what is counted by route stays few."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

__all__ = ["OTHER", "RouteTable", "template_path"]

OTHER = "/{other}"
MAX_SEGMENTS = 8
MAX_SEGMENT = 64
LONG_TOKEN = 16
RANDOM_SHARE = 0.25

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
VERSION = re.compile(r"v\d{1,2}(\.\d{1,2}){0,2}", re.IGNORECASE)
READABLE = re.compile(r"(?:\{id\}|[\w.~!$&'()*+,;=:@-])+")
EMAIL = re.compile(r"[^@]+@[^@]+\.[^@]+")
TOKEN = re.compile(r"[A-Za-z0-9_-]+")
PIECE = re.compile(r"\{id\}|[0-9A-Za-z]+")
HEX = re.compile(r"(?=.*\d)[0-9a-fA-F]{8,}")
CODE = re.compile(r"(?=.{10})[A-Za-z]*\d+[A-Za-z]+\d[0-9A-Za-z]*")
NUMBER = re.compile(r"\d{3,}")
TURN = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
RUN = re.compile(r"\{id\}(?:[-_.:,+~]?\{id\})+")


@lru_cache(maxsize=8192)
def template_path(path: str) -> str:
    """Replace what differs from call to call by ``{id}``: ``/users/17/a-2024.png`` is ``/users/{id}/a-{id}.png``.

    Numbers, UUIDs, hashes, dates, addresses and random-looking tokens go, versions such as ``v2`` stay. The query is
    dropped, and so is what follows the eighth segment. The same path always gives the same template of at most 527
    characters, and a template gives itself.
    """
    path = path.partition("?")[0].partition("#")[0]
    segments = [segment for segment in path.split("/") if segment]
    shown = [_segment(segment) for segment in segments[:MAX_SEGMENTS]]
    if len(segments) > MAX_SEGMENTS:
        return f"/{'/'.join(shown)}/{{rest}}"
    return f"/{'/'.join(shown)}{'/' if shown and path.endswith('/') else ''}"


class RouteTable:
    """Templates paths, at most ``limit`` templates in its life: the paths of any further one become ``/{other}``.

    First come, first served, so the same paths in the same order always get the same routes.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def route(self, path: str) -> str:
        """Template a path within the limit."""
        template = template_path(path)
        if template not in self._known:
            if len(self._known) >= self._limit:
                return OTHER
            self._known.add(template)
        return template


@lru_cache(maxsize=8192)
def _segment(segment: str) -> str:
    if "%" in segment:
        segment = unquote(segment)
    segment = segment.partition(";")[0]
    if len(segment) > MAX_SEGMENT or not READABLE.fullmatch(segment) or EMAIL.fullmatch(segment):
        return "{id}"
    if VERSION.fullmatch(segment):
        return segment
    stem, dot, extension = segment.partition(".")
    if _is_random(stem):
        segment = f"{{id}}{dot}{extension}"
    shown = RUN.sub("{id}", PIECE.sub(_piece, UUID.sub("{id}", segment)))
    return shown if len(shown) <= MAX_SEGMENT else "{id}"


def _piece(match: re.Match[str]) -> str:
    piece = match[0]
    if piece.isdecimal() or HEX.fullmatch(piece) or CODE.fullmatch(piece):
        return "{id}"
    return piece if piece == "{id}" else NUMBER.sub("{id}", piece)


def _is_random(token: str) -> bool:
    """Tell words from noise: in noise, letters and digits take turns, and capitals stand anywhere."""
    if len(token) < LONG_TOKEN or not TOKEN.fullmatch(token):
        return False
    turns = len(TURN.findall(token))
    return turns > 1 and turns + len(HUMP.findall(token)) / 2 > RANDOM_SHARE * len(token)
