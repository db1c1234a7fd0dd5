"""A client that sends the bytes of a case to a server, in the way that the case asks for, and keeps every byte back."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance.capture.keys import PAUSE, Keys
from conformance.capture.talk import Talk
from conformance.capture.wire import read_answers, without_dates

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.capture.case import Case

__all__ = ["converse"]

SECONDS = 15
SLACK = 2.0  # by which a busy machine may let a server note the end after the client has seen it
ENOUGH = 100_000  # bytes of an answer that never ends
HANDSHAKE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
HELLO, ECHO = b"\x81\x82\0\0\0\0hi", b"\x81\x07echo hi"
FAREWELL = b"\x88\x82\0\0\0\0\x03\xe8"


class _Line:
    """A connection, and all that came over it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = time.perf_counter()
        self.first = 0.0
        self.data = b""
        self.ended = False

    def send(self, data: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the server has said all that it will say
            self.socket.sendall(data)

    def read_until(self, enough: Callable[[bytes], object]) -> None:
        """Read until there is enough, or the end."""
        while not self.ended and not enough(self.data):
            try:
                chunk = self.socket.recv(2**16)
            except ConnectionResetError:
                chunk = b""
            self.first = self.first or time.perf_counter() - self.began
            self.ended = not chunk
            self.data += chunk

    def read_to_end(self) -> None:
        self.read_until(lambda _: False)


def converse(port: int, case: Case) -> Talk:
    """Run a case against the server on ``port``."""
    with Keys() as keys:
        line = _Line(port)
        try:
            return _WAYS[case.way](line, case, keys)
        finally:
            line.socket.close()


def _talk(line: _Line, case: Case, **more: Any) -> Talk:
    methods = [request.method for request in case.requests]
    return Talk(
        transcript=without_dates(line.data),
        answers=[*read_answers(line.data, methods, ended=line.ended)],
        at_most=time.perf_counter() - line.began + SLACK,
        **more,
    )


def _whole(line: _Line, case: Case, _: Keys) -> Talk:
    last = len(case.requests) - 1
    line.send(
        b"".join(
            request.head(case.agent, last=number == last) + request.framed()
            for number, request in enumerate(case.requests)
        )
    )
    line.read_to_end()
    return _talk(line, case)


def _has_answers(methods: list[str], count: int, data: bytes) -> bool:
    return len(read_answers(data, methods, ended=False)) >= count


def _in_turn(line: _Line, case: Case, _: Keys) -> Talk:
    methods = [request.method for request in case.requests]
    for number, request in enumerate(case.requests, 1):
        line.send(request.head(case.agent, last=number == len(methods)) + request.framed())
        line.read_until(partial(_has_answers, methods, number))
    line.read_to_end()
    return _talk(line, case)


def _slow(line: _Line, case: Case, keys: Keys) -> Talk:
    (request,) = case.requests
    body = request.framed()
    line.send(request.head(case.agent, keys.port) + body[: len(body) // 2])
    keys.meet()
    time.sleep(PAUSE)
    line.send(body[len(body) // 2 :])
    line.read_to_end()
    return _talk(line, case, at_least=PAUSE)


def _expect(line: _Line, case: Case, _: Keys) -> Talk:
    (request,) = case.requests
    line.send(request.head(case.agent))
    line.read_until(lambda data: b"\r\n\r\n" in data)
    if line.data.startswith(b"HTTP/1.1 100 "):
        line.send(request.framed())
    line.read_to_end()
    return _talk(line, case)


def _cut(line: _Line, case: Case, _: Keys) -> Talk:
    (request,) = case.requests
    line.send(request.head(case.agent) + request.framed())
    line.socket.shutdown(socket.SHUT_WR)
    line.read_to_end()
    talk = _talk(line, case)
    talk.answers = talk.answers or [None]
    return talk


def _gated(line: _Line, case: Case, keys: Keys) -> Talk:
    (request,) = case.requests
    line.send(request.head(case.agent, keys.port))
    line.read_until(lambda data: b"chunk 0\n" in data)
    came = time.perf_counter()
    keys.open()
    line.read_until(lambda data: b"chunk 1\n" in data)
    keys.open()
    line.read_to_end()
    return _talk(line, case, at_least=keys.opened - came, first_at_most=came - line.began + SLACK, told=keys.heard())


def _gone(line: _Line, case: Case, keys: Keys) -> Talk:
    (request,) = case.requests
    line.send(request.head(case.agent, keys.port))
    line.read_until(lambda data: len(data) >= ENOUGH)
    talk = _talk(line, case)
    line.socket.close()
    talk.transcript = without_dates(line.data[:ENOUGH])
    talk.answers = read_answers(line.data, [request.method], ended=True)  # type: ignore[assignment]  # lists are invariant
    talk.told = keys.heard()
    talk.at_most = time.perf_counter() - line.began + SLACK
    return talk


def _background(line: _Line, case: Case, keys: Keys) -> Talk:
    (request,) = case.requests
    line.send(request.head(case.agent, keys.port))
    line.read_until(lambda data: read_answers(data, [request.method], ended=False))
    keys.open_when_it_waits()
    line.read_to_end()
    talk = _talk(line, case, told=keys.heard())
    talk.at_most = keys.opened - line.began  # without slack: the work began when the answer was over
    return talk


def _websocket(line: _Line, case: Case, _: Keys) -> Talk:
    (request,) = case.requests
    line.send(request.head(case.agent, last=False))
    line.read_until(lambda data: b"\r\n\r\n" in data)
    line.send(HELLO)
    line.read_until(lambda data: data.endswith(ECHO))
    line.send(FAREWELL)
    line.read_to_end()
    talk = _talk(line, case)
    assert ECHO in line.data
    return talk


_WAYS: dict[str, Callable[[_Line, Case, Keys], Talk]] = {
    "whole": _whole,
    "in turn": _in_turn,
    "slow": _slow,
    "expect": _expect,
    "cut": _cut,
    "gated": _gated,
    "gone": _gone,
    "background": _background,
    "websocket": _websocket,
}
