"""One webhook: signed as the Standard Webhooks have it, posted to the address that its name had, and to no other."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Struct

from tollkeeper import __version__
from tollkeeper.errors import SinkError, UnprocessableError
from tollkeeper.service.alerts.addresses import is_allowed, resolve_once
from tollkeeper.service.alerts.signing import SigningSecret, signature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.store.operations import Message

__all__ = ["Target", "check_url", "payload", "post"]

SECONDS = 10.0
MAX_URL = 2_048
GONE = 410
LONGEST_WAIT = 3_600.0
PRINTABLE = re.compile(r"[!-~]+")
PORTS = {"http": 80, "https": 443}


class Target(Struct, frozen=True, kw_only=True):
    """Where webhooks go and how: ``private`` addresses too or not, ``resolve`` a name other than by the system."""

    url: str
    secrets: Sequence[SigningSecret]
    private: bool = False
    seconds: float = SECONDS
    resolve: Callable[[str, int], list[str]] | None = None


def check_url(url: str, *, private: bool) -> str:
    """Refuse what is no URL for webhooks; raises UnprocessableError, which does not repeat it."""
    problem = _problem(url, private=private)
    if problem:
        raise UnprocessableError(f"The URL of the webhook {problem}: give one like https://example.com/alerts.")
    return url


def payload(message: Message) -> bytes:
    """The body, the same in every try."""
    data = {name: value for name, value in message.document.items() if name != "kind"}
    kind = message.document.get("kind", "unknown")
    return msgspec.json.encode({"type": f"alert.{kind}", "timestamp": message.created_at, "data": data})


def post(target: Target, message: Message, *, now: int) -> None:
    """Send a message at ``now`` (seconds since 1970); returns when it was taken, by any 2xx.

    Raises SinkError: with ``retry=False`` when it is no use to try again. No redirect is followed, and nothing is read
    beyond the head of the answer.
    """
    body = payload(message)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"tollkeeper/{__version__}",
        "webhook-id": message.id,
        "webhook-timestamp": str(now),
        "webhook-signature": signature(target.secrets, message.id, now, body),
    }
    parts = urlsplit(check_url(target.url, private=target.private))
    try:
        status, asked = _exchange(target, parts, body, headers)
    except ssl.SSLCertVerificationError as error:
        raise SinkError(f"The certificate of {parts.hostname} is not good: {error.verify_message}.") from None
    except (OSError, http.client.HTTPException) as error:
        raise SinkError(f"{parts.hostname} cannot be reached: {_reason(error)}.") from None
    _judge(status, asked)


def _judge(status: int, asked: str) -> None:
    if 200 <= status < 300:  # noqa: PLR2004  # the class of success
        return
    if 300 <= status < 400:  # noqa: PLR2004  # the class of redirects
        raise SinkError(f"It answered {status}: redirects are not followed, give the URL where it leads.")
    wait = min(float(asked), LONGEST_WAIT) if asked.isascii() and asked.isdecimal() else None
    raise SinkError(f"It answered {status}.", retry=status != GONE, retry_after=wait)


def _exchange(target: Target, parts: SplitResult, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Post, and read the head of the answer: its status and its ``Retry-After``."""
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    until = time.monotonic() + target.seconds
    address = resolve_once(host, port, private=target.private, timeout=target.seconds, resolve=target.resolve)
    connection = _Pinned(host, port, address=address, seconds=max(until - time.monotonic(), 0.001))
    with contextlib.closing(connection), _deadline(connection, until):
        if parts.scheme == "https":
            connection.secure()
        path = parts.path or "/"
        connection.request("POST", f"{path}?{parts.query}" if parts.query else path, body, headers)
        with contextlib.closing(connection.getresponse()) as response:
            return response.status, response.headers.get("Retry-After", "")


class _Pinned(http.client.HTTPConnection):
    """A connection to an address, which names the host as if it had looked it up itself."""

    auto_open = 0  # another connection would be another look-up

    def __init__(self, host: str, port: int, *, address: str, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self.sock = socket.create_connection((address, port), timeout=seconds)

    def secure(self) -> None:
        """Speak TLS, with a certificate for the name."""
        self.default_port = http.client.HTTPS_PORT  # so that Host names no port that goes without saying
        context = ssl.create_default_context()
        # Wrapped first and shaken hands with then, so that whoever cuts the line has hold of it meanwhile.
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock.do_handshake()


@contextlib.contextmanager
def _deadline(connection: _Pinned, until: float) -> Iterator[None]:
    """Cut the line at a time: a peer that sends a byte now and then would never meet a timeout of the socket."""
    cut = threading.Event()

    def hang_up() -> None:
        cut.set()
        if (found := connection.sock) is not None:  # it is, when the answer has closed the connection
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(until - time.monotonic(), 0), hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if cut.is_set():
            raise SinkError("It took too long to answer.") from None
        raise
    finally:
        timer.cancel()


def _problem(url: str, *, private: bool) -> str:
    if len(url) > MAX_URL or not PRINTABLE.fullmatch(url):
        return f"has other than 1 to {MAX_URL} printable ASCII characters"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme not in PORTS or not host:
        return "is none of http or https"
    if parts.username is not None or parts.password is not None or parts.fragment or port == 0:
        return "has a user, a password, a fragment or port 0"
    if _is_address(host) and not is_allowed(host, private=private):
        return "leads to an address that is not public"
    return ""


def _is_address(host: str) -> bool:
    # As the resolver reads it, which takes 0x7f.1 for an address, too.
    try:
        socket.inet_aton(host)
    except OSError:
        return ":" in host
    return True


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or type(error).__name__).rstrip(".")
