"""Read the answers of an HTTP/1 server from its bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CLOCKS", "Answer", "read_answers", "without_dates"]

BODILESS = {204, 304}
CLOCKS = {"date", "expires"}
"""Headers whose values follow the clock."""
_date = re.compile(rb"(?mi)^((?:date|expires): )\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r$")


class Answer(Struct):
    """An answer: names of headers in lower case, the body without its framing."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    complete: bool = True

    def header(self, name: str) -> str:
        """The first header of that name, or nothing."""
        return next((value for each, value in self.headers if each == name), "")


def without_dates(data: bytes) -> bytes:
    """The bytes with the headers that tell the time set to the same: the one thing that two runs may differ in."""
    return _date.sub(rb"\1*\r", data)


def read_answers(data: bytes, methods: Sequence[str], *, ended: bool) -> list[Answer]:
    """Read the answers to requests with these methods, as far as they are complete, or the connection has ``ended``."""
    answers = []
    for method in methods:
        answer, data = _read(data, method, ended=ended)
        if answer is None:
            break
        answers.append(answer)
    return answers


def _read(data: bytes, method: str, *, ended: bool) -> tuple[Answer | None, bytes]:
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        return None, data
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    if 100 <= status < 200 and status != 101:
        return _read(rest, method, ended=ended)
    pairs = [line.partition(":") for line in lines]
    answer = Answer(status, [(name.lower(), value.strip()) for name, _, value in pairs], b"")
    if method == "HEAD" or status in BODILESS:
        return answer, rest
    if "chunked" in answer.header("transfer-encoding"):
        answer.body, answer.complete, rest = _dechunk(rest)
    elif length := answer.header("content-length"):
        answer.body, rest = rest[: int(length)], rest[int(length) :]
        answer.complete = len(answer.body) == int(length)
    else:
        answer.body, answer.complete, rest = rest, ended, b""
    return (answer if answer.complete or ended else None), rest


def _dechunk(data: bytes) -> tuple[bytes, bool, bytes]:
    body = b""
    while True:
        line, end, rest = data.partition(b"\r\n")
        if not end:
            return body, False, b""
        size = int(line, 16)
        if not size:
            return body, rest.startswith(b"\r\n"), rest[2:]
        body += rest[:size]
        if len(rest) < size + 2:
            return body, False, b""
        data = rest[size + 2 :]
