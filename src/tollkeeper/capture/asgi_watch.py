"""One request as it passes between an ASGI application and its server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tollkeeper.capture.asking import ask_async
from tollkeeper.capture.body import BodyStart
from tollkeeper.capture.content import is_kept
from tollkeeper.capture.current import exchange_in_hand
from tollkeeper.capture.multipart import MultipartSummary
from tollkeeper.capture.request import RequestView
from tollkeeper.capture.scope import SCOPE_KEY, ScopeExchange, header_pairs, header_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.capture.asgi_types import Message, Receive, Scope, Send
    from tollkeeper.capture.exchange import Exchange
    from tollkeeper.capture.recorder import Recorder

__all__ = ["Watch"]

FILES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
SERVER_ERROR = 500
CLIENT_GONE = 499  # as proxies write down a client that did not wait for the answer


class Watch:
    """Stands in for the server's ``receive`` and ``send``, and takes down what passes; nothing of it raises."""

    __slots__ = (
        "_answer",
        "_answering",
        "_ended",
        "_exchange",
        "_gone",
        "_over",
        "_receive",
        "_recorder",
        "_request",
        "_scope",
        "_seen",
        "_send",
        "_started",
        "_trailers",
        "_waits",
    )

    def __init__(
        self,
        recorder: Recorder,
        answering: Callable[[ScopeExchange, Scope], None],
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        source: str,
        outer: Exchange | None,
    ) -> None:
        self._recorder = recorder
        self._answering = answering
        self._scope = scope
        self._receive = receive
        self._send = send
        self._started = self._ended = self._over = self._gone = self._trailers = self._waits = False
        self._seen = 0
        self._answer: BodyStart | None = None
        self._request: BodyStart | MultipartSummary | None = None
        detailed = recorder.keeps_details and recorder.is_sampled()
        exchange = self._exchange = ScopeExchange.of(source, scope, recorder.log, outer, detailed=detailed)
        if detailed and recorder.options.level == "bodies":
            self._keep_request()
        scope[SCOPE_KEY] = exchange
        exchange_in_hand.set(exchange)

    def _keep_request(self) -> None:
        options = self._recorder.options
        kind = header_value(self._exchange.request_headers, b"content-type")
        if is_kept(kind, options.content_types):
            multipart = kind.lower().startswith("multipart/")
            self._request = MultipartSummary(kind) if multipart else BodyStart(options.max_body_bytes)

    async def receive(self) -> Message:
        """Pass on what the server has; it is asked only when the application asks."""
        message = await self._receive()
        try:
            body = message.get("body")
            if body:
                self._seen += len(body)
                if self._request is not None:
                    self._request.feed(bytes(body))
            elif message["type"] == "http.disconnect" and not self._started:
                self._gone = True
        except Exception as error:  # noqa: BLE001 - the app must get its body
            self._request = None
            self._recorder.trouble(error)
        return message

    async def send(self, message: Message) -> None:
        """Pass on what the application says, as it is, at once."""
        if self._over:
            await self._send(message)
            return
        try:
            if not self._started and message["type"] == "http.response.start":
                self._starts(message)
                if self._recorder.options.asked:
                    await self._ask()
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.trouble(error)
        try:
            await self._send(message)
        except OSError:
            self.over(None)  # the client has gone, which is no failure of the app
            raise
        try:
            self._sent(message)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.trouble(error)

    def _starts(self, message: Message) -> None:
        self._started = True
        exchange = self._exchange
        exchange.response_size = 0  # before it is unknown: whoever else answers, we do not see it
        exchange.status = status = int(message["status"])
        self._waits = status >= SERVER_ERROR
        exchange.response_headers = header_pairs(message.get("headers", ()))
        self._trailers = message.get("trailers", False)
        self._answering(exchange, self._scope)
        options = self._recorder.options
        if exchange.detailed and options.level == "bodies":
            kind = header_value(exchange.response_headers, b"content-type")
            if is_kept(kind, options.content_types):
                self._answer = BodyStart(options.max_body_bytes)

    async def _ask(self) -> None:
        await ask_async(self._exchange, RequestView.of_scope(self._scope), self._recorder.options)

    def _sent(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            body = message.get("body")
            if body:
                self._saw(body)
        elif kind in FILES:
            self._saw(None)
        elif kind != "http.response.trailers":
            return
        elif not message.get("more_trailers", False):
            self._trailers = False
        if not self._trailers and not message.get("more_body", False):
            self._end()

    def _saw(self, body: bytes | None) -> None:
        """Take a part of the answer into account, or None for one of unknown size, that the server gets by itself."""
        exchange = self._exchange
        if exchange.method == "HEAD":  # the server sends none of it
            return
        if exchange.first_byte is None:
            exchange.first_byte = time.perf_counter() - exchange.started
        if body is None:
            exchange.response_size = None
        elif exchange.response_size is not None:
            exchange.response_size += len(body)
            if self._answer is not None:
                self._answer.feed(bytes(body))

    def _end(self) -> None:
        exchange = self._exchange
        if not self._ended:
            self._ended = True
            exchange.elapsed = time.perf_counter() - exchange.started
        # Starlette raises an error that nobody handled when it has answered: wait for it, and not for background tasks.
        if not self._waits:
            self.over(None)

    async def raised(self, error: Exception) -> None:
        """Take down what the application raised."""
        if self._over:
            return
        try:
            if not self._started:
                self._answering(self._exchange, self._scope)
                if self._recorder.options.asked:
                    await self._ask()
        except Exception as failure:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.trouble(failure)
        self.over(error)

    def over(self, error: BaseException | None) -> None:
        """Record the request, the first time that this is called."""
        if self._over:
            return
        self._over = True
        try:
            exchange = self._exchange
            if not self._ended:
                exchange.elapsed = time.perf_counter() - exchange.started
            if error is not None:
                exchange.fail(error)
            if self._gone:
                exchange.status = CLIENT_GONE
            exchange.request_size = self._seen or None
            if self._answer is not None:
                exchange.response_body = self._answer.kept()
            if self._request is not None:
                exchange.request_body = (
                    self._request.kept() if isinstance(self._request, BodyStart) else self._request.parts()
                )
            self._recorder.finish(exchange)
        except Exception as failure:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.fail(failure)

    def leave(self) -> None:
        """Record the request if it is not yet, and leave scope and context as they were."""
        self.over(None)
        try:
            exchange = self._exchange
            if exchange.outer is None:
                self._scope.pop(SCOPE_KEY, None)
            else:
                self._scope[SCOPE_KEY] = exchange.outer
            if exchange_in_hand.get() is exchange:
                exchange_in_hand.set(exchange.outer)
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the host
            self._recorder.trouble(error)
