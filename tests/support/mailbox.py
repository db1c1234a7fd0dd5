"""A mail server on a real socket, with TLS and a login, that keeps what it gets."""

from __future__ import annotations

import contextlib
import socket
import ssl
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

__all__ = ["Mailbox", "authority"]

USER, PASSWORD = "alerts", "se cret%/@:"


def authority(folder: Path) -> trustme.CA:
    """A new authority; its certificate is ``ca.pem`` in the folder, for ``SSL_CERT_FILE``."""
    found = trustme.CA()
    found.cert_pem.write_to_path(str(folder / "ca.pem"))
    return found


class Mailbox:
    """``letters`` are what came; ``refuse`` is what the server says to a letter instead of taking it."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.logins: list[tuple[str, str]] = []
        self.encrypted: list[bool] = []
        self.refuse = ""
        self.refuse_recipient = ""
        self.port = 0

    async def handle_RCPT(  # noqa: N802  # the names and the parameters are those of aiosmtpd
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self.refuse_recipient:
            return self.refuse_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  # as said
        if self.refuse:
            return self.refuse
        self.letters.append(message_from_bytes(envelope.content, policy=default))
        self.recipients += envelope.rcpt_tos
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return "250 OK"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=self.logins[-1] == (USER, PASSWORD), handled=False)

    @contextlib.contextmanager
    def open(self, ca: trustme.CA | None, *, name: str = "127.0.0.1", implicit: bool = False) -> Iterator[Mailbox]:
        """Serve until the block ends: without TLS and login when there is no authority, with STARTTLS otherwise."""
        options: dict[str, Any] = {}
        if ca is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ca.issue_cert(name).configure_cert(context)
            options = {"authenticator": self.authenticate, "auth_required": True, "auth_require_tls": not implicit}
            options |= {"ssl_context": context} if implicit else {"tls_context": context, "require_starttls": True}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        controller.start()
        try:
            yield self
        finally:
            controller.stop()
